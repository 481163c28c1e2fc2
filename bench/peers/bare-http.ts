import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { offer } from "../kit/offer.ts";

// What node:http itself costs: the body is read, and a constant answered.

const answer = JSON.stringify({ data: { viewer: { id: "0f5b2c1e-5a0e-4c6e-9d55-1f7e8c3c2a11" } } });
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(answer);
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
offer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
