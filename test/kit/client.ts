import { randomUUID } from "node:crypto";
import {
  LoginDocument,
  LogoutDocument,
  SignUpDocument,
  type TypedDocumentString,
} from "../../src/client/generated/graphql.ts";
import { KIT_PASSWORDS } from "./secrets.ts";

interface GraphQLAnswer<Data> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Data | null | undefined;
  readonly errors: readonly { readonly message: string; readonly extensions?: Record<string, unknown> }[];
}

/** One who calls the service over HTTP, as somebody or nobody. */
export interface TestClient {
  readonly token: string | undefined;
  readonly run: <Data, Variables>(
    document: TypedDocumentString<Data, Variables> | string,
    variables?: Variables,
  ) => Promise<GraphQLAnswer<Data>>;
}

export interface TestUser extends TestClient {
  readonly token: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly email: string;
  readonly password: string;
}

/** A client with these headers; by default an anonymous one that is no browser. */
export function createTestClient(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  token?: string,
): TestClient {
  return {
    token,
    async run<Data, Variables>(
      document: TypedDocumentString<Data, Variables> | string,
      variables?: Variables,
    ) {
      const response = await fetch(`${url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ query: String(document), variables }),
      });
      const { data, errors = [] } = (await response.json()) as Partial<GraphQLAnswer<Data>>;
      return { status: response.status, headers: response.headers, data, errors };
    },
  };
}

/** The same with a bearer token. */
export function withToken(url: string, token: string): TestClient {
  return createTestClient(url, { authorization: `Bearer ${token}` }, token);
}

/** A new user, logged in. */
export async function signUp(
  url: string,
  { name = "Ann" }: { readonly name?: string } = {},
): Promise<TestUser> {
  const email = `${randomUUID()}@example.com`;
  const password = KIT_PASSWORDS.user;
  const { data, errors } = await createTestClient(url).run(SignUpDocument, {
    input: { email, name, password, passwordConfirmation: password, returnToken: true },
  });
  if (data?.signUp.__typename !== "LoginSuccess" || !data.signUp.token) {
    throw new Error(`no sign-up: ${JSON.stringify(data)} ${JSON.stringify(errors)}`);
  }
  const { token, user, session } = data.signUp;
  return { ...withToken(url, token), token, userId: user.id, sessionId: session.id, email, password };
}

/** Another session of a user that exists. */
export async function logIn(
  url: string,
  credentials: { readonly email: string; readonly password: string },
): Promise<TestUser> {
  const { email, password } = credentials;
  const { data, errors } = await createTestClient(url).run(LoginDocument, {
    input: { email, password, returnToken: true },
  });
  if (data?.login.__typename !== "LoginSuccess" || !data.login.token) {
    throw new Error(`no login: ${JSON.stringify(data)} ${JSON.stringify(errors)}`);
  }
  const { token, user, session } = data.login;
  return { ...withToken(url, token), token, userId: user.id, sessionId: session.id, email, password };
}

/** The value of the session cookie that an answer sets; the empty string if it removes it; undefined if neither. */
export function cookieSetBy({ headers }: Pick<GraphQLAnswer<unknown>, "headers">): string | undefined {
  const [cookie] = headers.getSetCookie();
  return cookie === undefined ? undefined : /^session=([^;]*)/.exec(cookie)?.[1];
}

/** The same with a session cookie, as a browser sends it to the page that it has it from. */
export function withCookie(url: string, token: string): TestClient {
  return createTestClient(url, { cookie: `session=${token}` }, token);
}

/** Another session of a user that exists, by cookie. */
export async function logInByCookie(
  url: string,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<TestClient & { readonly token: string; readonly sessionId: string }> {
  const answer = await createTestClient(url).run(LoginDocument, { input: { email, password } });
  const token = cookieSetBy(answer);
  if (answer.data?.login.__typename !== "LoginSuccess" || !token) throw new Error("no login by cookie");
  return { ...withCookie(url, token), token, sessionId: answer.data.login.session.id };
}

/** Resolves once the node has applied everything that was committed until now: a logout answers only after that. */
export async function settle(url: string): Promise<void> {
  await (await signUp(url)).run(LogoutDocument);
}
