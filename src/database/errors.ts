import { Prisma } from "./generated/client.ts";

/** Raised by the trigger that keeps P5: the user's credentials changed while they logged in. */
export const STALE_CREDENTIALS = "LL001";
export const UNIQUE_VIOLATION = "23505";

/** A value that no column can hold: text that is no UUID, a NUL. */
const MALFORMED: readonly string[] = ["22P02", "22021"];

/** What another attempt may cure: a serialization failure, a deadlock. */
const RETRYABLE: readonly string[] = ["40001", "40P01"];

/** What says that the database cannot serve now, as opposed to that it refuses this statement. */
const UNAVAILABLE: readonly RegExp[] = [
  /^08/, // connection exceptions
  /^53/, // insufficient resources: too many connections, disk full
  /^54000$/, // a limit of the server's: its queue of notifications is full
  /^57/, // operator intervention: shutting down, starting up
  /^55P03$/, // somebody holds the lock that we wait for
  /^25006$/, // read-only: a standby answers
  /^58/, // system errors: the disk
];

/** Prisma's own codes for a server that is not reached, a full pool, a transaction that could not start. */
const UNAVAILABLE_IN_PRISMA: readonly string[] = [
  "P1001",
  "P1002",
  "P1008",
  "P1017",
  "P2024",
  "P2028",
  "P2037",
];

/** What the driver itself says of a lost connection, for which it has no codes and Prisma no error of its own. */
const UNAVAILABLE_IN_DRIVER =
  /^(a standby answers|Connection terminated|timeout expired|timeout exceeded when trying to connect|Query read timeout|Client (was closed|has encountered a connection error))/;

/** The five characters that PostgreSQL names an error by, if this is one that came through Prisma. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return undefined;
  const adapterError = error.meta?.["driverAdapterError"];
  const cause = adapterError instanceof Error ? adapterError.cause : undefined;
  const code = cause && typeof cause === "object" ? Reflect.get(cause, "originalCode") : undefined;
  return typeof code === "string" ? code : undefined;
}

export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return RETRYABLE.includes(state);
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2034";
}

/** Whether a value that came from outside was refused as malformed. */
export function isMalformed(error: unknown): boolean {
  return MALFORMED.includes(sqlState(error) ?? "");
}

/** Whether the database is what failed: the caller may be told to come back. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) {
    return error instanceof Error && UNAVAILABLE_IN_DRIVER.test(error.message);
  }
  const state = sqlState(error);
  if (state !== undefined && UNAVAILABLE.some((pattern) => pattern.test(state))) return true;
  return UNAVAILABLE_IN_PRISMA.includes(error.code) || isRetryable(error);
}
