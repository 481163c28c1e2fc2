import type { SqlMigrationAwareDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import type { Prisma, PrismaClient } from "./generated/client.ts";

/** The database as the rest of the service sees it: PostgreSQL, or PGlite embedded in the process. */
export interface Database {
  readonly prisma: PrismaClient;
  /** For people, without secrets: "PostgreSQL at db.example.com:5432/app" or "embedded in ./data". */
  readonly description: string;
  /** What Prisma's schema engine connects through when it migrates. */
  readonly adapterFactory: SqlMigrationAwareDriverAdapterFactory;
  /** Opens a connection that belongs to the caller alone and hears notifications. */
  openListener(options: ListenerOptions): Promise<Listener>;
  /** Runs `work` while no other node runs work under the same name, waiting for them. */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly channel: string;
  /** `payload` is what the notification says, "" if nothing. */
  readonly onNotification: (payload: string) => void;
  /** Called once when the connection is gone, unless it was closed by `close`. */
  readonly onLost: (error: Error) => void;
  /** How long an answer may take before the connection counts as lost, in milliseconds. */
  readonly queryTimeoutMs: number;
}

export interface Listener {
  query(text: string, values: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  close(): Promise<void>;
}

/** Either the client or a transaction of it: what a function takes that may be part of a larger change. */
export type Queries = PrismaClient | Prisma.TransactionClient;

export interface OpenOptions {
  /** How long the database may be silent while somebody waits for it, in milliseconds. Absent: for ever. */
  readonly answerTimeoutMs?: number;
  /** Hears of connections that fail in the background. */
  readonly onError: (error: Error) => void;
  /** Hears what the operator should mend although the database can be used. */
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onQuery?: OnQuery | undefined;
}

/** Sees each statement that Prisma sends (not the tail's reads). For tests and for debugging. */
export type OnQuery = (statement: string) => void;
