import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { within } from "./deadline.ts";

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** What came from the server: a JSON message, or its close frame. */
type Received =
  | { readonly kind: "message"; readonly message: Record<string, unknown> }
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

/**
 * A WebSocket client that does only what it is told: it never answers a close frame, and it may break the protocol.
 * For showing what the server does to clients that no library would write.
 */
export interface RawWebSocket {
  readonly socket: Socket;
  /** The status line of the answer to the upgrade request. */
  readonly status: string;
  readonly received: readonly Received[];
  readonly send: (message: unknown) => void;
  readonly sendFrame: (opcode: keyof typeof OPCODE, payload: Buffer | string, isFinal?: boolean) => void;
  /** Waits for the first thing received that fits. */
  readonly next: (kind: string, fits?: (received: Received) => boolean) => Promise<Received>;
  /** Resolves when TCP has ended. */
  readonly ended: Promise<void>;
}

export interface RawOptions {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocol?: string | undefined;
}

export async function openRawWebSocket(url: string, options: RawOptions = {}): Promise<RawWebSocket> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.on("error", () => {});
  // Not `once` of node:events, which would fail by the error that a cut brings.
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const { path = "/graphql", protocol = "graphql-transport-ws" } = options;
  const headers = {
    host,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    ...(protocol ? { "sec-websocket-protocol": protocol } : {}),
    ...options.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);

  let unread = Buffer.alloc(0);
  const received: Received[] = [];
  let waiters: (() => void)[] = [];
  const upgraded = Promise.withResolvers<string>();
  let status: string | undefined;

  function wake() {
    const woken = waiters;
    waiters = [];
    for (const waiter of woken) waiter();
  }
  socket.on("data", (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    if (status === undefined) {
      const end = unread.indexOf("\r\n\r\n");
      if (end < 0) return;
      status = unread.subarray(0, unread.indexOf("\r\n")).toString();
      unread = unread.subarray(end + 4);
      upgraded.resolve(status);
    }
    for (let frame = readFrame(unread); frame; frame = readFrame(unread)) {
      unread = unread.subarray(frame.size);
      if (frame.opcode === OPCODE.text) {
        received.push({ kind: "message", message: JSON.parse(frame.payload.toString()) });
      } else if (frame.opcode === OPCODE.close) {
        const code = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
        received.push({ kind: "close", code, reason: frame.payload.subarray(2).toString() });
      }
    }
    wake();
  });
  socket.on("close", wake);

  const sendFrame: RawWebSocket["sendFrame"] = (opcode, payload, isFinal = true) => {
    if (!socket.destroyed) socket.write(frameOf(OPCODE[opcode], Buffer.from(payload), isFinal));
  };
  return {
    socket,
    status: await within(5_000, "an answer to the upgrade", upgraded.promise),
    received,
    ended,
    sendFrame,
    send: (message) => sendFrame("text", typeof message === "string" ? message : JSON.stringify(message)),
    async next(kind, fits = () => true) {
      const find = () =>
        received.find(
          (item) => (item.kind === "close" ? kind === "close" : item.message["type"] === kind) && fits(item),
        );
      for (let found = find(); ; found = find()) {
        if (found) return found;
        if (socket.destroyed)
          throw new Error(`the socket ended without ${kind}: ${JSON.stringify(received)}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.push(resolve);
        await within(5_000, kind, promise);
      }
    },
  };
}

/** A client frame: masked, as RFC 6455 section 5.3 demands. */
function frameOf(opcode: number, payload: Buffer, isFinal: boolean): Buffer {
  const mask = randomBytes(4);
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  const head = [(isFinal ? 0x80 : 0) | opcode];
  if (payload.length < 126) head.push(0x80 | payload.length);
  else if (payload.length < 65_536) head.push(0x80 | 126, payload.length >> 8, payload.length & 0xff);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(payload.length));
    head.push(0x80 | 127, ...length);
  }
  return Buffer.concat([Buffer.from(head), mask, masked]);
}

function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const opcode = bytes.readUInt8(0) & 0x0f;
  let length = bytes.readUInt8(1) & 0x7f;
  let offset = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    offset = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    offset = 10;
  }
  const size = offset + length;
  return bytes.length < size ? undefined : { opcode, payload: bytes.subarray(offset, size), size };
}
