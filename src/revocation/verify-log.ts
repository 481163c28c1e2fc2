import { createHash } from "node:crypto";
import type { PrismaClient, SessionEvent } from "../database/generated/client.ts";
import { type Anchor, LOG_BEGINNING } from "./log.ts";

const PAGE_SIZE = 5_000;

/** A row that is not what was written, and what is wrong with it. */
interface Finding {
  /** Of the event, a decimal string. */
  readonly id: string;
  readonly problem: string;
}

export interface Verification {
  readonly eventCount: number;
  /** The first event that is there. Older ones were deleted if it is chained to something. */
  readonly oldest: Anchor | undefined;
  /** The newest event. Noted elsewhere, it shows later whether the log was rewritten from end to end. */
  readonly head: Anchor;
  readonly findings: readonly Finding[];
}

/**
 * Walks the chain of hashes through the whole log. Nothing that the database computes is believed: whoever altered
 * a row may have altered its functions too. `expected` are anchors noted earlier that must still be there.
 */
export async function verifyLog(
  prisma: PrismaClient,
  expected: readonly Anchor[] = [],
): Promise<Verification> {
  const findings: Finding[] = [];
  const missing = new Map(expected.map((anchor) => [anchor.id, anchor.rowHash]));
  let eventCount = 0;
  let oldest: Anchor | undefined;
  let head = LOG_BEGINNING;
  for (;;) {
    const page = await prisma.sessionEvent.findMany({
      where: { id: { gt: BigInt(head.id) } },
      orderBy: { id: "asc" },
      take: PAGE_SIZE,
    });
    for (const event of page) {
      const id = String(event.id);
      const rowHash = hex(event.rowHash);
      const report = (problem: string) => void findings.push({ id, problem });
      if (hashOf(event) !== rowHash) report("it was altered: it does not have the hash that was made of it");
      if (oldest && hex(event.previousHash) !== head.rowHash) {
        report(
          `it does not follow on event ${head.id}: rows between or around them were removed, added or altered`,
        );
      }
      if (!isAddressPlausible(event)) report("its address was altered");
      if (missing.get(id) === rowHash) missing.delete(id);
      head = { id, rowHash };
      oldest ??= head;
      eventCount += 1;
    }
    if (page.length < PAGE_SIZE) break;
  }
  for (const id of missing.keys()) {
    findings.push({ id, problem: "it is not in the log as it was noted" });
  }
  return { eventCount, oldest, head, findings };
}

/** Whether the address is what was written, or what the rules for old addresses leave of one: its network, or nothing. */
function isAddressPlausible({ ipAddress, ipSalt, ipDigest }: SessionEvent): boolean {
  if (ipSalt === null) return ipAddress === null || (ipDigest !== null && /\/\d+$/.test(ipAddress));
  return ipAddress !== null && digestOf(ipSalt, ipAddress) === hex(ipDigest);
}

/** The same as `session_event_hash` in the migration `anchored_log`: PostgreSQL's spelling of a JSON array. */
function hashOf(event: SessionEvent): string {
  const at = event.at.toISOString().replace("Z", "");
  const cells = [
    JSON.stringify(hex(event.previousHash)),
    String(event.id),
    JSON.stringify(event.type),
    JSON.stringify(at),
    JSON.stringify(event.sessionId),
    JSON.stringify(event.userId),
    JSON.stringify(event.actorId),
    JSON.stringify(event.reason),
    JSON.stringify(event.ipDigest && hex(event.ipDigest)),
    String(event.transactionId),
  ];
  return sha256(`[${cells.join(", ")}]`);
}

function digestOf(salt: string, ipAddress: string): string {
  return sha256(`${salt}${ipAddress}`);
}

function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

function hex(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? []).toString("hex");
}
