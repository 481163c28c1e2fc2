import DataLoader from "dataloader";
import type { PrismaClient, Session, User } from "../database/generated/client.ts";

/** Reads what the events of a page speak of, each kind with one query. */
export interface Loaders {
  readonly users: DataLoader<string, User | null>;
  readonly sessions: DataLoader<string, Session | null>;
}

export function createLoaders(prisma: PrismaClient): Loaders {
  // Batched but not remembered: a subscription lives long, and what it tells is to be as it is then.
  const options = { cache: false } as const;
  let users: Loaders["users"] | undefined;
  let sessions: Loaders["sessions"] | undefined;
  // Most operations need none of them.
  return {
    get users() {
      users ??= new DataLoader(async (ids: readonly string[]) => {
        return inOrder(ids, await prisma.user.findMany({ where: { id: { in: [...new Set(ids)] } } }));
      }, options);
      return users;
    },
    get sessions() {
      sessions ??= new DataLoader(async (ids: readonly string[]) => {
        return inOrder(ids, await prisma.session.findMany({ where: { id: { in: [...new Set(ids)] } } }));
      }, options);
      return sessions;
    },
  };
}

function inOrder<Row extends { readonly id: string }>(
  ids: readonly string[],
  rows: readonly Row[],
): (Row | null)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id) ?? null);
}
