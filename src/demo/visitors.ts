import { randomInt } from "node:crypto";
import { createSessionClient, type SessionClient } from "../client/core.ts";
import {
  ChangeUserRoleDocument,
  RevokeSessionDocument,
  SetUserStatusDocument,
  UsersDocument,
} from "../client/generated/graphql.ts";
import { type Person, type Place, pick } from "./people.ts";

/** How many people are signed in and connected at once, at most. */
const MOST_VISITORS = 40;
/** From one thing that happens to the next. Milliseconds. */
const PAUSE_MS = { least: 800, most: 4_000 } as const;

/** People who sign in, stay connected for a while and leave or are made to, by the same ways as anybody; until the process ends. */
export function startVisitors(options: {
  readonly url: string;
  readonly people: readonly Person[];
  readonly password: string;
  /** The administrator who changes roles now and then. */
  readonly administrator: { readonly email: string; readonly password: string };
  readonly onError: (error: unknown) => void;
}): void {
  const { people, password } = options;
  const visitors = new Map<SessionClient, Person>();
  const administrator = connect({ userAgent: "Demo/1.0 (Linux)", ipAddress: "192.0.2.1" });

  /** Requests come from a loopback address, which the demo's service takes for a proxy. */
  function connect({ userAgent, ipAddress }: Place): SessionClient {
    return createSessionClient({
      url: new URL("/graphql", options.url).href,
      credentials: "bearer",
      fetch(input, init) {
        const headers = new Headers(init?.headers);
        headers.set("user-agent", userAgent);
        headers.set("x-forwarded-for", ipAddress);
        return fetch(input, { ...init, headers });
      },
    });
  }

  async function arrive(): Promise<void> {
    const person = pick(people);
    const client = connect(pick(person.places));
    const result = await client.login({ email: person.email, password });
    // Somebody who is deactivated just now.
    if (result.__typename !== "LoginSuccess") return client.close();
    visitors.set(client, person);
    client.subscribe(() => {
      if (client.getSnapshot().status === "signedOut") visitors.delete(client);
    });
  }

  async function leave(): Promise<void> {
    const [client] = pick([...visitors]);
    await client.logout();
    client.close();
  }

  async function endAnotherOfOnesOwn(): Promise<void> {
    const [client] = pick([...visitors]);
    await client.reauthenticate(password);
    const other = (await client.sessions()).find(({ current }) => !current);
    if (other) await client.revoke(other.id);
  }

  async function administer(): Promise<void> {
    if (administrator.getSnapshot().status !== "signedIn") await administrator.login(options.administrator);
    await administrator.reauthenticate(options.administrator.password);
    const { users } = await administrator.run(UsersDocument, { first: 1, search: pick(people).email });
    const user = users.edges[0]?.node;
    if (!user) return;
    const { id: userId } = user;
    if (user.status === "DEACTIVATED") {
      await administrator.run(SetUserStatusDocument, { userId, status: "ACTIVE" });
      return;
    }
    const chance = randomInt(10);
    if (chance < 5) {
      const [client] = pick([...visitors]);
      const state = client.getSnapshot();
      if (state.status === "signedIn")
        await administrator.run(RevokeSessionDocument, { id: state.session.id });
    } else if (chance < 9) {
      const role = user.role === "USER" ? "SUPPORT" : "USER";
      await administrator.run(ChangeUserRoleDocument, { userId, role });
    } else {
      await administrator.run(SetUserStatusDocument, { userId, status: "DEACTIVATED" });
      await administrator.run(SetUserStatusDocument, { userId, status: "ACTIVE" });
    }
  }

  async function happen(): Promise<void> {
    const chance = randomInt(100);
    if (visitors.size < 5 || (chance < 55 && visitors.size < MOST_VISITORS)) await arrive();
    else if (chance < 80) await leave();
    else if (chance < 90) await endAnotherOfOnesOwn();
    else await administer();
  }

  function next(): void {
    setTimeout(
      () => void happen().catch(options.onError).finally(next),
      randomInt(PAUSE_MS.least, PAUSE_MS.most),
    );
  }

  next();
}
