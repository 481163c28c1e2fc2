import Papa from "papaparse";
import type { SessionClient } from "../../client/core.ts";
import {
  type SessionEventFilter,
  SessionEventsDocument,
  type SessionEventsQuery,
} from "../../client/generated/graphql.ts";

/** More would take minutes, and few programs open it. */
export const MAX_ROWS = 20_000;
const PAGE_SIZE = 100;

/** Saves revocations as a table, the newest first. `onProgress` hears how far it is, from 0 to 1. Throws as `client.run` does. */
export async function exportRevocations(
  client: SessionClient,
  which: { readonly userId: string | undefined; readonly filter: SessionEventFilter },
  onProgress: (done: number) => void,
): Promise<{ readonly rows: number; readonly total: number }> {
  const rows: Record<string, string>[] = [];
  let total = 0;
  for (let after: string | null = null; rows.length < MAX_ROWS; ) {
    const { sessionEvents }: SessionEventsQuery = await client.run(SessionEventsDocument, {
      first: PAGE_SIZE,
      after,
      userId: which.userId ?? null,
      filter: which.filter,
    });
    total = Math.max(total, sessionEvents.totalCount);
    for (const { node } of sessionEvents.edges) {
      rows.push({
        event: node.id,
        at: node.at,
        reason: node.reason ?? "",
        session: node.sessionId,
        device: node.session?.device ?? "",
        address: node.session?.ipAddress ?? "",
        user: node.user.id,
        user_name: node.user.name,
        user_email: node.user.email,
        actor: node.actor?.id ?? "",
        actor_name: node.actor?.name ?? "",
        actor_email: node.actor?.email ?? "",
      });
    }
    onProgress(Math.min(1, rows.length / Math.min(total, MAX_ROWS)));
    if (!sessionEvents.pageInfo.hasNextPage) break;
    after = sessionEvents.pageInfo.endCursor;
  }
  // A name that begins like a formula would be run by whatever opens the table.
  save("revocations.csv", Papa.unparse(rows, { escapeFormulae: true }));
  return { rows: rows.length, total };
}

function save(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
