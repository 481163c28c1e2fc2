import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { within } from "./deadline.ts";

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A request with exactly these headers: unlike `fetch`, this sends any Host, Origin or content-type. */
export async function send(
  url: string,
  options: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: OutgoingHttpHeaders;
    readonly body?: string | Buffer;
  },
): Promise<RawAnswer> {
  const { method = "POST", path = "/graphql", headers = {}, body } = options;
  const { hostname, port } = new URL(url);
  const outgoing = httpRequest({ hostname, port, method, path, headers, agent: false });
  outgoing.end(body);
  const [response] = (await within(5_000, "an answer", once(outgoing, "response"))) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString(),
  };
}

/** Writes bytes to the port and gives the whole answer: for what no HTTP client would send. */
export async function sendBytes(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(bytes);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await within(5_000, "the end of the answer", once(socket, "close"));
  return Buffer.concat(chunks).toString();
}
