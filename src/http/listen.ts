import type { Server } from "node:http";
import { OperatorError } from "../operator-error.ts";

/** So many connections may wait to be taken: after a restart thousands of clients come back within seconds. The system may allow fewer. */
const ACCEPT_QUEUE = 4_096;

/** Where a server listens. */
export interface Listening {
  readonly port: number;
}

/** Lets a server listen. Throws {@link OperatorError} that names the settings if it cannot. */
export async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  settings: string,
): Promise<Listening> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port, host, backlog: ACCEPT_QUEUE }, resolve);
  try {
    await promise;
  } catch (error) {
    const code = error instanceof Error ? Reflect.get(error, "code") : undefined;
    const place = `${host}:${port}`;
    if (code === "EADDRINUSE") {
      const [, setting] = /(\w*PORT)/.exec(settings) ?? [];
      throw new OperatorError(`Port ${port} is in use. Stop what listens at ${place}, or set ${setting}.`);
    }
    throw new OperatorError(`Cannot listen at ${place}: ${String(code ?? error)}. Check ${settings}.`);
  }
  server.off("error", reject);
  const address = server.address();
  return { port: typeof address === "object" && address ? address.port : port };
}

/** An address as it stands in a URL. */
export function hostOf(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
