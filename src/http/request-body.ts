import type { IncomingMessage } from "node:http";

/** The body of a request; undefined if it has more than `most` bytes. Rejects if it does not arrive as a whole. */
export function readBody(request: IncomingMessage, most: number): Promise<Buffer | undefined> {
  if (Number(request.headers["content-length"]) > most) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request
      .on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > most) resolve(undefined);
        else chunks.push(chunk);
      })
      .on("end", () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
      .on("error", reject)
      .on("close", () => {
        if (!request.complete) reject(new Error("the request was broken off"));
      });
  });
}
