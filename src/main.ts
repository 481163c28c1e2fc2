import process from "node:process";
import type { Logger } from "pino";
import { type Config, readConfig } from "./config.ts";
import type { Database, OnQuery } from "./database/database.ts";
import { migrate } from "./database/migrate.ts";
import { openDatabase } from "./database/open.ts";
import type { OutboxItem } from "./database/outbox.ts";
import { createHttpEndpoint } from "./graphql/http-endpoint.ts";
import { createGraphQLServer } from "./graphql/server.ts";
import { readTrustedDocuments } from "./graphql/trusted-documents.ts";
import { createWebSocketEndpoint } from "./graphql/websocket.ts";
import { createEventPoll } from "./http/event-poll.ts";
import { createForwardAuth } from "./http/forward-auth.ts";
import { createGraphiQLPage } from "./http/graphiql.ts";
import { hostOf } from "./http/listen.ts";
import { createMetricsRoute, startMetricsServer } from "./http/metrics-server.ts";
import { createHttpServer } from "./http/server.ts";
import { createLog } from "./log.ts";
import { composeMail } from "./mail/compose.ts";
import { deliverMails } from "./mail/delivery.ts";
import { createMailTransport } from "./mail/transport.ts";
import { countResolutions, createMetrics } from "./metrics.ts";
import { OperatorError } from "./operator-error.ts";
import { type Pusher, startPushing } from "./receivers/push.ts";
import { type Clock, createDatabaseClock, createElapsedClock, systemClock } from "./revocation/clock.ts";
import { createDirectory, type Directory } from "./revocation/directory.ts";
import { createFeed } from "./revocation/feed.ts";
import { createRecentEvents } from "./revocation/recent-events.ts";
import { readSnapshot } from "./revocation/snapshot.ts";
import { startTail } from "./revocation/tail.ts";
import { isInHistory, readHistory } from "./sessions/history.ts";
import { createLastSeen } from "./sessions/last-seen.ts";
import { deleteOutdated } from "./sessions/retention.ts";
import { endDueSession } from "./sessions/revoke.ts";
import { createSigner } from "./sessions/signing-keys.ts";
import { sweepDueSessions } from "./sessions/sweep.ts";
import { repeat } from "./upkeep.ts";
import { checkRolesInUse } from "./users/check-roles.ts";
import { ensureAdministrator, type FirstAdministrator } from "./users/first-administrator.ts";
import { createPasswordHasher, type PasswordHasher } from "./users/password.ts";
import { createRoles } from "./users/roles.ts";
import { createThrottle } from "./users/throttle.ts";
import { welcome } from "./welcome.ts";

/** How many sessions a node keeps in memory; those that are held it keeps beyond it. */
const DIRECTORY_CAPACITY = 100_000;
/** How old the last read of the log may be for memory to be believed: a few reads may be late, no more. */
const FRESH_FOR_MS = 3_000;
/** How many events are kept in memory: what a load may miss and still be checked, what a follower may lag behind. */
const RECENT_EVENTS = 4_096;
/** The database has at least this long to answer; a statement that ends many sessions takes a second or two. */
const LEAST_ANSWER_TIMEOUT_MS = 5_000;
const UPKEEP_INTERVAL_MS = 1_000;
const LAST_SEEN_INTERVAL_MS = 60_000;
const RETENTION_INTERVAL_MS = 3_600_000;
const KEY_ROTATION_INTERVAL_MS = 600_000;
const MAIL_INTERVAL_MS = 2_000;

export interface Node {
  /** Where it is reached: `http://127.0.0.1:4000`. */
  readonly url: string;
  /** Where metrics are on a port of their own, if they are. */
  readonly metricsUrl: string | undefined;
  readonly database: Database;
  /** The administrator that this start created, if it did. */
  readonly firstAdministrator: FirstAdministrator | undefined;
  /** Closes sockets for a restart, finishes requests, and gives everything back. */
  readonly stop: () => Promise<void>;
}

export interface NodeOptions {
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Milliseconds since the epoch, as this machine has it, rightly or wrongly. */
  readonly wallMs?: () => number;
  readonly onQuery?: OnQuery;
  /** Puts something in front of the directory: how tests hold a race open, or build a node wrongly on purpose. */
  readonly wrapDirectory?: (directory: Directory) => Directory;
  /** Puts something in front of the database, likewise. */
  readonly wrapDatabase?: (database: Database) => Database;
  /** Puts something in front of the password hasher, likewise. */
  readonly wrapPasswords?: (passwords: PasswordHasher) => PasswordHasher;
}

/** Starts a node; resolves once it serves. Throws {@link OperatorError} for what the operator has to mend. */
export async function startNode(config: Config, options: NodeOptions = {}): Promise<Node> {
  const { clock = systemClock, onQuery } = options;
  const { wrapDirectory = unchanged, wrapDatabase = unchanged, wrapPasswords = unchanged } = options;
  const log = options.log ?? createLog(config.logLevel);
  const undo: (() => unknown)[] = [];
  try {
    const onError = (error: unknown) => log.error({ err: error }, "the database is in trouble");
    const onWarning = (message: string) => log.warn(message);
    // Computes a hash, for which nothing has to wait.
    const hasherReady = createPasswordHasher(config.passwordCost);
    const answerTimeoutMs = Math.max(LEAST_ANSWER_TIMEOUT_MS, config.revocationBoundMs);
    const opened = await openDatabase(config, { answerTimeoutMs, onError, onWarning, onQuery });
    const database = wrapDatabase(opened);
    undo.push(() => database.close());
    const applied = await migrate(database);
    if (applied.length > 0) log.info({ migrations: applied }, "the database was migrated");

    const { prisma } = database;
    const roles = createRoles(config.addedRoles);
    await checkRolesInUse(prisma, roles);
    const passwords = wrapPasswords(await hasherReady);
    const firstAdministrator = await ensureAdministrator(
      { database, passwords },
      { email: config.adminEmail, password: config.adminPassword },
    );

    const rules = { idleTimeoutMs: config.idleTimeoutMs };
    const freshForMs = Math.min(FRESH_FOR_MS, config.revocationBoundMs / 2);
    const isFresh = () => tail.stalenessMs() <= freshForMs;
    const databaseClock = createDatabaseClock(clock);
    const lastSeen = createLastSeen(prisma);
    const recent = createRecentEvents(RECENT_EVENTS);
    const feed = createFeed({
      recent,
      readPage: (cursor, filter) => readHistory(prisma, cursor, filter),
      isKnown: (event) => isInHistory(prisma, event),
    });
    const metrics = createMetrics();
    const counted = countResolutions(
      createDirectory({
        load(key) {
          metrics.onLoad();
          return readSnapshot(prisma, key);
        },
        recent,
        now: databaseClock.now,
        rules,
        isFresh,
        endDue: ({ id }, now) => endDueSession(prisma, id, now, rules),
        onSeen: lastSeen.record,
        onError,
        capacity: DIRECTORY_CAPACITY,
      }),
      metrics,
    );
    const directory = wrapDirectory(counted);
    let pusher: Pusher | undefined;
    const tail = await startTail({
      database,
      elapsedMs: createElapsedClock(clock, options.wallMs),
      onEvent(event) {
        directory.apply(event);
        feed.wake(event);
        pusher?.wake();
        metrics.onEvent(event, databaseClock.now());
      },
      onRestart(cursor) {
        recent.restart(cursor);
        directory.doubt("another");
        feed.restart();
      },
      onServerChange(cursor) {
        directory.doubt("same");
        feed.doubt(cursor);
      },
      isAwaited: (subject) =>
        directory.isAwaited(subject) || feed.hasFollowers() || pusher?.isWanted() === true,
      onRead: databaseClock.learn,
      onError,
      queryTimeoutMs: config.revocationBoundMs / 3,
    });
    undo.push(() => tail.stop());
    const catchUp = () => tail.catchUp(config.revocationBoundMs);
    let ownUrl = "";
    const issuer = () => config.publicUrl?.origin ?? ownUrl;
    const signer = createSigner({ database, now: databaseClock.now, issuer });
    await signer.rotate();
    undo.push(repeat(KEY_ROTATION_INTERVAL_MS, () => signer.rotate(), onError));
    pusher = startPushing({ prisma, signer, log });
    undo.push(() => pusher?.stop());
    const isTrusted = () => tail.stalenessMs() <= config.revocationBoundMs;

    const trusted =
      config.trustedDocuments === undefined ? undefined : await readTrustedDocuments(config.trustedDocuments);
    const operations = {
      log,
      prisma,
      passwords,
      throttle: createThrottle(prisma, config),
      roles,
      directory,
      feed,
      now: databaseClock.now,
      onLogin: metrics.onLogin,
      logStatus: () => ({ head: String(recent.head()), stalenessMs: tail.stalenessMs() }),
      signer,
      catchUp,
      rules,
      lifetimes: config,
      policies: config,
    };
    const graphql = createGraphQLServer(operations, config, trusted);
    const webSockets = createWebSocketEndpoint({
      operations,
      graphql,
      trusted,
      prisma,
      directory,
      catchUp,
      config,
      log,
      isTrusted,
    });
    let isStopping = false;
    const server = createHttpServer({
      config,
      log,
      graphql: createHttpEndpoint(graphql),
      upgrade: webSockets.upgrade,
      metrics: createMetricsRoute(metrics, config.metricsToken),
      eventPoll: createEventPoll({ prisma, signer, log, isStopping: () => isStopping }),
      issuer,
      forwardAuth: createForwardAuth({ directory, prisma, catchUp, config, log }),
      keySet: signer.keySet,
      graphiql: config.hasGraphiQL ? createGraphiQLPage() : undefined,
      unreadiness() {
        if (isStopping) return "This node is stopping.";
        return isTrusted() ? undefined : "This node cannot confirm that it has read the log.";
      },
    });

    const upkeep = setInterval(() => {
      directory.endDueLeases();
      if (isTrusted()) return;
      webSockets.closeAllUntrusted();
      server.cutStreams();
    }, UPKEEP_INTERVAL_MS);
    undo.push(() => clearInterval(upkeep));
    // Often enough that no other node takes a session for idle that is used on this one.
    const lastSeenIntervalMs = Math.min(LAST_SEEN_INTERVAL_MS, rules.idleTimeoutMs / 4);
    undo.push(() => lastSeen.flush().catch(onError));
    undo.push(repeat(lastSeenIntervalMs, () => lastSeen.flush(), onError));
    const sweep = (stopping: AbortSignal) =>
      sweepDueSessions(prisma, rules, { graceMs: 2 * lastSeenIntervalMs, stopping });
    undo.push(repeat(lastSeenIntervalMs, sweep, onError));
    undo.push(repeat(RETENTION_INTERVAL_MS, (stopping) => deleteOutdated(prisma, config, stopping), onError));

    if (config.metricsPort !== undefined || config.metricsToken !== undefined) {
      metrics.observe({
        prisma,
        stalenessMs: tail.stalenessMs,
        isFresh,
        isTrusted,
        sockets: webSockets.count,
        sessions: () => ({ served: directory.countServed(), online: directory.countOnline() }),
        hashing: passwords.load,
      });
    }
    let metricsUrl: string | undefined;
    if (config.metricsPort !== undefined) {
      const place = { host: config.metricsHost, port: config.metricsPort };
      const metricsServer = await startMetricsServer(metrics, place);
      undo.push(() => metricsServer.close());
      metricsUrl = `http://${hostOf(config.metricsHost)}:${metricsServer.port}/metrics`;
    }

    const port = await server.listen();
    undo.push(async () => {
      isStopping = true;
      // Half of the time for clients to be told to go, and all of it for what they still wait for.
      await Promise.all([server.close(config.drainMs), webSockets.drain(config.drainMs / 2)]);
    });
    ownUrl = `http://${hostOf(config.host)}:${port}`;

    const transport = createMailTransport(config, log);
    undo.push(() => transport.close());
    const letters = { prisma, now: databaseClock.now, origin: issuer() };
    const compose = (item: OutboxItem) => composeMail(letters, item);
    const mail = { prisma, transport, compose, now: databaseClock.now, log };
    undo.push(repeat(MAIL_INTERVAL_MS, (stopping) => deliverMails(mail, stopping), onError));
    return {
      url: ownUrl,
      metricsUrl,
      database,
      firstAdministrator,
      stop: () => runBackwards(undo),
    };
  } catch (error) {
    await runBackwards(undo);
    throw error;
  }
}

function unchanged<T>(room: T): T {
  return room;
}

/** What was opened last is closed first. */
async function runBackwards(undo: (() => unknown)[]): Promise<void> {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
}

/** Starts a node with these settings, those of the environment unless others are given, for the life of the process. */
export async function runService(
  options?: NodeOptions,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Node> {
  const node = await startNode(readConfig(environment), options);
  process.stdout.write(`${welcome(node)}\n`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      node.stop().then(
        () => process.exit(0),
        (error) => fail(error),
      );
    });
  }
  return node;
}

export function fail(error: unknown): never {
  const text = error instanceof OperatorError ? error.message : (error as Error).stack;
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
