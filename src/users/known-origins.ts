import { createHash } from "node:crypto";
import type { Queries } from "../database/database.ts";
import type { Prisma } from "../database/generated/client.ts";
import { networkOf, ONE_SITE } from "./network.ts";

/** What one knows an origin by: both are stored as digests only. */
interface Marks {
  /** For people: "Chrome on macOS". */
  readonly device: string;
  readonly ipAddress: string | null | undefined;
}

/** Notes where a user logs in from, and says whether the device or the network is one that they never used before. */
export async function noteOrigin(
  transaction: Prisma.TransactionClient,
  userId: string,
  { device, ipAddress }: Marks,
): Promise<boolean> {
  const digests = [digest(userId, "device", device), networkDigest(userId, ipAddress)];
  const noted = await transaction.$queryRaw<{ is_new: boolean }[]>`
    INSERT INTO known_origins (user_id, digest)
    SELECT ${userId}::uuid, digest FROM unnest(${digests}::text[]) AS given(digest)
    ON CONFLICT (user_id, digest) DO UPDATE SET last_seen_at = clock_timestamp()
    RETURNING xmax = 0 AS is_new`;
  return noted.some((row) => row.is_new);
}

/** Whether the user of this email has logged in from this network before. */
export async function isKnownNetwork(
  queries: Queries,
  email: string,
  ipAddress: string | undefined,
): Promise<boolean> {
  const user = await queries.user.findUnique({ where: { email }, select: { id: true } });
  if (!user) return false;
  const key = { userId: user.id, digest: networkDigest(user.id, ipAddress) };
  return (await queries.knownOrigin.findUnique({ where: { userId_digest: key } })) !== null;
}

/** Notes what a user is to be told of once; says whether it was new. */
export async function noteOnce(queries: Queries, userId: string, what: string): Promise<boolean> {
  const { count } = await queries.knownOrigin.createMany({
    data: [{ userId, digest: digest(userId, "once", what) }],
    skipDuplicates: true,
  });
  return count === 1;
}

function networkDigest(userId: string, ipAddress: string | null | undefined): string {
  return digest(userId, "network", networkOf(ipAddress, ONE_SITE));
}

function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
