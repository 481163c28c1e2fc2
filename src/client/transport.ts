import type { TypedDocumentString } from "./generated/graphql.ts";
import { SignedOutError } from "./state.ts";

/** How long the service may take to answer. */
const ANSWER_TIMEOUT_MS = 15_000;
/** A request that was under way while the session got a new token is sent again this often. */
const MAX_ROTATIONS = 3;
const ROTATION_PAUSE_MS = 200;

/** Where a client that is no browser keeps its token. */
export interface TokenStorage {
  readonly get: () => string | undefined | Promise<string | undefined>;
  /** `undefined`: there is none any more. */
  readonly set: (token: string | undefined) => unknown;
}

/** Keeps the token as long as the process lives. */
export function inMemory(): TokenStorage {
  let token: string | undefined;
  return {
    get: () => token,
    set(next) {
      token = next;
    },
  };
}

/** The service could not be asked, or could not answer now: nothing is known, and nobody is signed out by it. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}

/** The service refused: a GraphQL error with its code. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  /** `FORBIDDEN`, `BAD_REQUEST` and so on: docs/protocol.md. */
  readonly code: string;
  readonly extensions: Readonly<Record<string, unknown>>;
  constructor(message: string, extensions: Readonly<Record<string, unknown>>) {
    super(message);
    this.code = String(extensions["code"] ?? "UNKNOWN");
    this.extensions = extensions;
  }
}

interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: Readonly<Record<string, unknown>>;
  }[];
}

export interface Transport {
  /** Runs an operation. Throws {@link UnavailableError}, {@link RefusedError} and, once `era` has aborted, {@link SignedOutError}. */
  readonly run: <Data, Variables>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
    era: AbortSignal,
  ) => Promise<Data>;
  /** Like the global one, with the session's credentials. */
  readonly fetch: (
    input: string | URL | Request,
    init: RequestInit | undefined,
    era: AbortSignal,
  ) => Promise<Response>;
}

export interface TransportOptions {
  readonly url: string;
  /** Besides that of `url`. */
  readonly origins: readonly string[];
  readonly fetch: typeof globalThis.fetch;
  /** Undefined: the browser's cookie. */
  readonly tokens: TokenStorage | undefined;
}

export function createTransport({ url, origins, fetch, tokens }: TransportOptions): Transport {
  const trusted = new Set([url, ...origins].map(originOf));

  /** What proves the session, for those who are to see it. A token that is sent to anybody else is given away. */
  async function credentialsFor(
    input: string | URL | Request,
    init: RequestInit | undefined,
  ): Promise<RequestInit> {
    if (!trusted.has(originOf(input instanceof Request ? input.url : input))) return {};
    if (!tokens) return { credentials: "include" };
    const token = await tokens.get();
    if (token === undefined) return {};
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    headers.set("authorization", `Bearer ${token}`);
    return { headers, credentials: "omit" };
  }

  const send: Transport["fetch"] = async (input, init, era) => {
    const signals = [era, init?.signal].filter((signal) => signal != null);
    const credentials = await credentialsFor(input, init);
    const response = await fetch(input, { ...init, ...credentials, signal: AbortSignal.any(signals) });
    // Its body is for whoever is signed in no more.
    if (era.aborted) throw era.reason;
    return response;
  };

  async function ask(body: string, era: AbortSignal): Promise<Answer> {
    try {
      const response = await send(
        url,
        {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
          signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
        },
        era,
      );
      return (await response.json()) as Answer;
    } catch (error) {
      throw era.aborted
        ? era.reason
        : new UnavailableError("The service cannot be reached.", { cause: error });
    }
  }

  return {
    fetch: send,
    async run<Data, Variables>(
      document: TypedDocumentString<Data, Variables>,
      variables: Variables,
      era: AbortSignal,
    ) {
      const body = JSON.stringify({ query: String(document), variables });
      for (let attempt = 1; ; attempt++) {
        const { data, errors } = await ask(body, era);
        if (era.aborted) throw new SignedOutError();
        const [error] = errors ?? [];
        if (!error && data) return data as Data;
        const extensions = error?.extensions ?? {};
        if (extensions["code"] === "TOKEN_ROTATED" && attempt < MAX_ROTATIONS) {
          await new Promise((resolve) => setTimeout(resolve, ROTATION_PAUSE_MS));
          continue;
        }
        const message = error?.message ?? "The service gave no answer.";
        if (
          !error ||
          /^(SERVICE_UNAVAILABLE|TOKEN_ROTATED|INTERNAL_SERVER_ERROR)$/.test(String(extensions["code"]))
        ) {
          throw new UnavailableError(message);
        }
        throw new RefusedError(message, extensions);
      }
    },
  };
}

function originOf(url: string | URL): string {
  // Without a page a relative address has no origin, and fetch refuses it.
  return new URL(url, globalThis.document?.baseURI ?? "relative:").origin;
}
