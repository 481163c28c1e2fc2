import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { PrismaClient } from "./database/generated/client.ts";
import type { Directory } from "./revocation/directory.ts";
import type { SessionEvent } from "./revocation/log.ts";

/** From a commit to its effect here: P1 wants 5 ms and 20 ms, P3 bounds it at 10 s by default. */
const LATENCY_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What a node looks like now; asked at each scrape. */
export interface MetricSources {
  readonly prisma: PrismaClient;
  readonly stalenessMs: () => number;
  /** Whether memory is believed. */
  readonly isFresh: () => boolean;
  /** Whether sockets are served at all (P3). */
  readonly isTrusted: () => boolean;
  readonly sockets: () => number;
  readonly sessions: () => { readonly served: number; readonly online: number };
  readonly hashing: () => { readonly running: number; readonly waiting: number };
}

/** What a node counts as it goes, and shows to Prometheus. */
export interface Metrics {
  readonly onEvent: (event: SessionEvent, now: number) => void;
  readonly onResolution: () => void;
  readonly onLoad: () => void;
  /** `outcome`: what became of an attempt to log in, as in `started` or `invalidCredentials`. */
  readonly onLogin: (outcome: string) => void;
  /** From now on a scrape asks these. */
  readonly observe: (sources: MetricSources) => void;
  /** Prometheus' text format. */
  readonly scrape: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const register = new Registry();
  const registers = [register];
  const events = new Counter({
    name: "live_logout_events_total",
    help: "Session events that this node has applied, by type.",
    labelNames: ["type"],
    registers,
  });
  const latency = new Histogram({
    name: "live_logout_revocation_latency_seconds",
    help: "From a revocation, by the database's clock, to its effect on this node.",
    buckets: LATENCY_BUCKETS_S,
    registers,
  });
  const resolutions = new Counter({
    name: "live_logout_session_resolutions_total",
    help: "How often a session was looked for by its token.",
    registers,
  });
  const loads = new Counter({
    name: "live_logout_session_loads_total",
    help: "How often the database was asked for a session. All other resolutions were answered from memory.",
    registers,
  });
  const logins = new Counter({
    name: "live_logout_logins_total",
    help: "Attempts to log in, by outcome.",
    labelNames: ["outcome"],
    registers,
  });

  /** A number that is asked for when somebody looks. */
  function gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        // What cannot be had is not shown: the scrape itself is to work while the database does not.
        try {
          this.set(await read());
        } catch {
          this.remove();
        }
      },
    });
  }

  // Looked up once: a mass logout comes as hundreds of thousands of events.
  const ofType = new Map<string, ReturnType<typeof events.labels>>();

  return {
    onEvent({ type, at }, now) {
      let counter = ofType.get(type);
      if (!counter) {
        counter = events.labels(type);
        ofType.set(type, counter);
      }
      counter.inc();
      if (type === "SESSION_REVOKED") latency.observe(Math.max(0, now - at.getTime()) / 1_000);
    },
    onResolution: () => resolutions.inc(),
    onLoad: () => loads.inc(),
    onLogin: (outcome) => logins.inc({ outcome }),
    observe({ prisma, ...sources }) {
      collectDefaultMetrics({ register });
      gauge("live_logout_sockets", "Open WebSockets.", sources.sockets);
      gauge("live_logout_sessions_served", "Sessions in memory.", () => sources.sessions().served);
      gauge(
        "live_logout_sessions_online",
        "Sessions that hold an open live connection here.",
        () => sources.sessions().online,
      );
      gauge(
        "live_logout_log_staleness_seconds",
        "Since this node began to read the log as it knows it.",
        () => sources.stalenessMs() / 1_000,
      );
      gauge(
        "live_logout_fresh",
        "1 while memory is believed; 0: each request is checked against the database.",
        () => Number(sources.isFresh()),
      );
      gauge("live_logout_trusted", "0: past REVOCATION_BOUND_MS, nobody is served from memory.", () =>
        Number(sources.isTrusted()),
      );
      gauge("live_logout_hashes_running", "Password hashes under way.", () => sources.hashing().running);
      gauge(
        "live_logout_hashes_waiting",
        "Logins that wait for a password hash.",
        () => sources.hashing().waiting,
      );
      gauge(
        "live_logout_log_lock_wait_seconds",
        "How long the writer of the log has waited that waits longest.",
        async () => {
          const [row] = await prisma.$queryRaw<[{ seconds: number }]>`
            SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8 AS seconds
              FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'`;
          return row.seconds;
        },
      );
      gauge(
        "live_logout_notification_queue_usage",
        "The part of PostgreSQL's queue of notifications that is used; at 1 commits fail.",
        async () => {
          const [row] = await prisma.$queryRaw<[{ usage: number }]>`
            SELECT pg_notification_queue_usage()::float8 AS usage`;
          return row.usage;
        },
      );
      gauge("live_logout_mails_waiting", "Mails that are not sent yet.", () => prisma.outboxItem.count());
      gauge("live_logout_receivers_failing", "Receivers of security events that cannot be reached.", () =>
        prisma.eventReceiver.count({ where: { failures: { gt: 0 } } }),
      );
    },
    scrape: async () => ({ contentType: register.contentType, text: await register.metrics() }),
  };
}

/** The same directory, counted. */
export function countResolutions(
  directory: Directory,
  { onResolution }: Pick<Metrics, "onResolution">,
): Directory {
  return {
    ...directory,
    resolve(tokenHash, purpose) {
      onResolution();
      return directory.resolve(tokenHash, purpose);
    },
  };
}
