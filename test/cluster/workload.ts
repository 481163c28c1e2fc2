import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { createToken, hashToken } from "../../src/token.ts";
import { createPasswordHasher } from "../../src/users/password.ts";
import { type Cluster, type ClusterNode, DATABASE } from "./cluster.ts";
import type { History, Operation, Revocation } from "./history.ts";
import type { Random } from "./random.ts";
import { connectSubscriber, type Subject } from "./subscribed-client.ts";

const USERS = 40;
const PASSWORD = "a password of theirs";
/** Nobody waits longer for an answer; what has none by then may or may not have happened. */
const REQUEST_TIMEOUT_MS = 8_000;
const EXPIRY_DELAY_MS = 300;
/** How sessions end; what stands twice happens twice as often. */
const WAYS = [
  "logout",
  "admin",
  "admin",
  "update",
  "update",
  "delete",
  "role",
  "password",
  "expiry",
] as const;

export interface Workload {
  /**
   * Begins lives of sessions, so many at a time, until it is stopped; and so many residents, who stay connected until then, one
   * session each.
   */
  readonly run: (actors: number, residents: number) => Promise<void>;
  /** Lets the sessions that live come to their ends, and resolves when every client has learned of its own. */
  readonly stop: () => void;
  /** Closes the connections to the database. */
  readonly close: () => Promise<void>;
}

interface Person {
  readonly id: string;
  readonly email: string;
}

/** People who log in, ask, subscribe, and are logged out in every way there is, on nodes at random. */
export async function createWorkload(
  cluster: Cluster,
  history: History,
  random: Random,
  options: {
    readonly admin: string;
    readonly boundMs: number;
    readonly learningMs: number;
    readonly now: () => number;
  },
): Promise<Workload> {
  const { admin, now, boundMs, learningMs } = options;
  // The tester's own way to the database goes over no proxy: what it confirms is confirmed.
  const sql = new pg.Pool({ connectionString: `${cluster.postgres.url}/${DATABASE}`, max: 12 });
  // Connections that a fault ends: whoever uses one is told by the query.
  sql.on("error", () => {});
  sql.on("connect", (client) => client.on("error", () => {}));
  const passwordHashes = await hashPassword();
  const people = await createPeople(sql, USERS, passwordHashes[0]);
  let isStopping = false;
  const stopping = Promise.withResolvers<void>();

  async function ask(node: ClusterNode, subject: Subject): Promise<Operation["outcome"]> {
    const invoke = now();
    const answer = await request(node, "{ viewer { id } }", subject.token);
    const { outcome, reason } = judge(answer, subject);
    const { sessionId } = subject;
    history.operations.push({
      kind: "query",
      node: node.index,
      sessionId,
      invoke,
      complete: now(),
      outcome,
      reason,
    });
    return outcome;
  }

  /** Most by plain SQL, which costs no hashing; the others as people do. */
  async function begin(choices: Random): Promise<Subject | undefined> {
    const person = choices.pick(people);
    if (choices.chance(0.06)) return logIn(choices.pick(cluster.nodes), person);
    return beginBySql(person);
  }

  async function beginBySql(person: Person): Promise<Subject | undefined> {
    const token = createToken("session").token;
    const sessionId = randomUUID();
    try {
      const { rowCount } = await sql.query(
        `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
         SELECT $1, id, $3, credential_version, now() + interval '1 day' FROM users WHERE id = $2`,
        [sessionId, person.id, hashToken("session", token)],
      );
      return rowCount === 1 ? { sessionId, userId: person.id, token } : undefined;
    } catch {
      return undefined;
    }
  }

  async function logIn(node: ClusterNode, person: Person): Promise<Subject | undefined> {
    const query = `mutation { login(input: { email: "${person.email}", password: "${PASSWORD}", returnToken: true }) {
      ... on LoginSuccess { token session { id } } } }`;
    const login = (await request(node, query, undefined))?.data?.["login"];
    if (!isLogin(login)) return undefined;
    return { sessionId: login.session.id, userId: person.id, token: login.token };
  }

  /** Runs one statement in a transaction and notes when it was certain that it had been committed. */
  async function bySql(
    way: string,
    target: Revocation["target"],
    statement: string,
    values: readonly unknown[],
    { sleepMs = 0, delayMs }: { readonly sleepMs?: number; readonly delayMs?: number } = {},
  ): Promise<boolean> {
    const invoke = now();
    let transactionId: string | undefined;
    let isConfirmed = false;
    const client = await sql.connect().catch(() => undefined);
    if (client) {
      let failure: Error | undefined;
      try {
        await client.query("BEGIN");
        await client.query("SET LOCAL lock_timeout = '5s'");
        const { rows } = await client.query<{ id: string }>("SELECT pg_current_xact_id()::text AS id");
        transactionId = rows[0]?.id;
        await client.query(statement, [...values]);
        // Between the event and the commit: whoever takes another writer's later id now must not overtake it.
        if (sleepMs > 0) await pause(sleepMs);
        await client.query("COMMIT");
        isConfirmed = true;
      } catch (error) {
        failure = error as Error;
      }
      client.release(failure);
    }
    history.revocations.push({
      way,
      target,
      invoke,
      complete: now(),
      isConfirmed,
      ...(delayMs === undefined ? { transactionId } : { delayMs }),
    });
    return isConfirmed;
  }

  async function byMutation(
    way: string,
    node: ClusterNode,
    subject: Subject,
    asAdmin: boolean,
  ): Promise<void> {
    const { sessionId } = subject;
    const query = asAdmin
      ? `mutation { done: revokeSession(id: "${sessionId}") { __typename } }`
      : "mutation { done: logout { __typename } }";
    const invoke = now();
    const answer = await request(node, query, asAdmin ? admin : subject.token);
    const done = answer?.data?.["done"];
    const isConfirmed =
      typeof done === "object" && done !== null && Reflect.get(done, "__typename") === "RevokeSessionSuccess";
    const confirmation = isConfirmed ? { node: node.index } : {};
    history.revocations.push({
      way,
      target: { sessionId },
      invoke,
      complete: now(),
      isConfirmed,
      ...confirmation,
    });
  }

  async function revoke(choices: Random, subject: Subject): Promise<void> {
    const { sessionId, userId } = subject;
    const node = choices.pick(cluster.nodes);
    const session = { sessionId };
    const user = { userId };
    const ways = {
      logout: () => byMutation("logout", node, subject, false),
      admin: () => byMutation("revokeSession", node, subject, true),
      update: () =>
        bySql(
          "UPDATE sessions",
          session,
          "UPDATE sessions SET revoked_at = now() WHERE id = $1",
          [sessionId],
          {
            sleepMs: choices.chance(0.3) ? choices.int(1, 40) : 0,
          },
        ),
      delete: () => bySql("DELETE FROM sessions", session, "DELETE FROM sessions WHERE id = $1", [sessionId]),
      role: () =>
        bySql(
          "UPDATE users SET role",
          user,
          "UPDATE users SET role = CASE role WHEN 'USER' THEN 'SUPPORT' ELSE 'USER' END WHERE id = $1",
          [userId],
        ),
      password: () =>
        bySql(
          "UPDATE users SET password_hash",
          user,
          // The same password with the other salt, so that whoever logs in still can.
          "UPDATE users SET password_hash = CASE password_hash WHEN $2 THEN $3 ELSE $2 END WHERE id = $1",
          [userId, ...passwordHashes],
        ),
      expiry: () =>
        bySql(
          "UPDATE sessions SET expires_at",
          session,
          `UPDATE sessions SET expires_at = clock_timestamp() + interval '${EXPIRY_DELAY_MS} ms'
           WHERE id = $1 AND revoked_at IS NULL`,
          [sessionId],
          { delayMs: EXPIRY_DELAY_MS },
        ),
    };
    await ways[choices.pick(WAYS)]();
  }

  /** Stays connected, to one node or another, until it is told that its session has ended. */
  async function stayConnected(choices: Random, subject: Subject, learned: Promise<unknown>): Promise<void> {
    const isStubborn = choices.chance(0.25);
    let isOverdue = false;
    void learned.then(() => {
      isOverdue = true;
    });
    while (!isOverdue) {
      const node = choices.pick(cluster.nodes);
      const queryEveryMs = choices.int(100, 400);
      const { closed, cut } = connectSubscriber(
        { url: node.url, node: node.index, subject, queryEveryMs, isStubborn, now },
        history,
      );
      void learned.then(cut);
      const { code } = await closed;
      if (code === 4401 || code === 4403) return;
      await pause(choices.int(50, 300));
    }
    history.incidents.push(`P2: the client of session ${subject.sessionId} never learned of its end`);
  }

  /** Waits until a client has learned of its session's end; one that is never told gives up some day, which is noted. */
  async function untilTold(connected: Promise<void>, giveUp: () => void): Promise<void> {
    const overdue = setTimeout(giveUp, learningMs);
    await connected;
    clearTimeout(overdue);
  }

  /** One session, from its beginning to long after its end. */
  async function live(choices: Random): Promise<void> {
    const subject = await begin(choices);
    if (!subject) return void (await pause(100));
    const learned = Promise.withResolvers<void>();
    const connected = choices.chance(0.6)
      ? stayConnected(choices, subject, learned.promise)
      : Promise.resolve();
    for (let count = choices.int(1, 5); count > 0; count--) {
      await ask(choices.pick(cluster.nodes), subject);
      await pause(choices.int(0, 150));
    }
    // Some stay for longer, so that there are open sockets to go wrong.
    if (choices.chance(0.2)) await pause(choices.int(1_000, 4_000));
    // On their way while it happens, to every node: it may be read there just before, and admitted just after.
    await Promise.all([
      revoke(choices, subject),
      ...cluster.nodes.map((node) => pause(choices.int(0, 10)).then(() => ask(node, subject))),
    ]);
    for (const waitMs of [0, 50, 300]) {
      await pause(waitMs);
      await ask(choices.pick(cluster.nodes), subject);
    }
    await pause(boundMs);
    const outcomes = await Promise.all(cluster.nodes.map((node) => ask(node, subject)));
    const isInDoubt = outcomes.every(
      (outcome) => outcome === "ok" || outcome === "unavailable" || outcome === "unknown",
    );
    // Nobody knows whether the revocation was committed: once more, until it is certain.
    if (isInDoubt) await endForCertain(subject);
    await untilTold(connected, learned.resolve);
  }

  /** A session of somebody whom nobody else ends. */
  async function reside(choices: Random, person: Person): Promise<void> {
    const subject = await beginBySql(person);
    if (!subject) throw new Error("a resident's session could not be begun");
    const learned = Promise.withResolvers<void>();
    const connected = stayConnected(choices, subject, learned.promise);
    await stopping.promise;
    await endForCertain(subject);
    await untilTold(connected, learned.resolve);
  }

  async function endForCertain({ sessionId }: Subject): Promise<void> {
    const target = { sessionId };
    const statement = "UPDATE sessions SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL";
    while (!(await bySql("UPDATE sessions, again", target, statement, [sessionId]))) await pause(200);
  }

  return {
    async run(actors, residents) {
      const act = async (choices: Random) => {
        // Not all at the same step at the same time.
        await pause(choices.int(0, 2_000));
        while (!isStopping) await live(choices);
      };
      const acting = Array.from({ length: actors }, () => act(random.fork()));
      const theirs = await createPeople(sql, residents, passwordHashes[0]);
      await Promise.all([...acting, ...theirs.map((person) => reside(random.fork(), person))]);
    },
    stop() {
      isStopping = true;
      stopping.resolve();
    },
    close: () => sql.end(),
  };
}

/** Twice, with different salts. */
async function hashPassword(): Promise<readonly [string, string]> {
  const passwords = await createPasswordHasher({ memoryKib: 19_456, passes: 2, lanes: 1 });
  return [await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)];
}

async function createPeople(sql: pg.Pool, count: number, passwordHash: string): Promise<readonly Person[]> {
  const people = Array.from({ length: count }, () => {
    const id = randomUUID();
    return { id, email: `${id}@example.com` };
  });
  for (const { id, email } of people) {
    await sql.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ann', $3)", [
      id,
      email,
      passwordHash,
    ]);
  }
  return people;
}

/** The token of the administrator, whose session nobody ends. */
export async function logInAdministrator(cluster: Cluster): Promise<string> {
  const query = `mutation { login(input: { email: "admin@example.com", password: "correct horse battery",
    returnToken: true }) { ... on LoginSuccess { token session { id } } } }`;
  const [node] = cluster.nodes;
  const login = node && (await request(node, query, undefined))?.data?.["login"];
  if (!isLogin(login)) throw new Error("the administrator cannot log in");
  return login.token;
}

function isLogin(
  login: unknown,
): login is { readonly token: string; readonly session: { readonly id: string } } {
  return typeof login === "object" && login !== null && typeof Reflect.get(login, "token") === "string";
}

interface Answer {
  readonly status: number;
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string; readonly reason?: string } }[];
}

/** Undefined if there was no answer. */
async function request(
  node: ClusterNode,
  query: string,
  token: string | undefined,
): Promise<Answer | undefined> {
  try {
    const response = await fetch(`${node.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ query }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    return { ...((await response.json()) as Omit<Answer, "status">), status: response.status };
  } catch {
    return undefined;
  }
}

function judge(
  answer: Answer | undefined,
  subject: Subject,
): { readonly outcome: Operation["outcome"]; readonly reason?: string | undefined } {
  if (!answer) return { outcome: "unknown" };
  const viewer = answer.data?.["viewer"];
  if (typeof viewer === "object" && viewer && Reflect.get(viewer, "id") === subject.userId)
    return { outcome: "ok" };
  const extensions = answer.errors?.[0]?.extensions;
  if (extensions?.code === "UNAUTHENTICATED" && extensions.reason)
    return { outcome: "ended", reason: extensions.reason };
  if (extensions?.code === "SERVICE_UNAVAILABLE") return { outcome: "unavailable" };
  // `viewer` of a token that is nobody's is null, without an error.
  return extensions === undefined && viewer === null ? { outcome: "nobody" } : { outcome: "unknown" };
}
