import type { SqlDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import type { OnQuery } from "./database.ts";
import { PrismaClient } from "./generated/client.ts";

export function createPrismaClient(
  adapter: SqlDriverAdapterFactory,
  onQuery: OnQuery | undefined,
): PrismaClient {
  if (!onQuery) return new PrismaClient({ adapter });
  const prisma = new PrismaClient({ adapter, log: [{ emit: "event", level: "query" }] });
  prisma.$on("query", (event) => onQuery(event.query));
  return prisma;
}
