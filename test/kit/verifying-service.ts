import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { guard } from "../../src/verifier/http.ts";
import { createVerifier } from "../../src/verifier/verifier.ts";

// Another back end, in a process of its own: answers with whose access token a request has.

const [url = "", serviceToken = "", issuer = "", boundMs = ""] = process.argv.slice(2);
const verifier = createVerifier({ url: `${url}/graphql`, serviceToken, issuer, boundMs: Number(boundMs) });
const server = createServer(async (request, response) => {
  const lease = await guard(verifier, request, response);
  if (lease) response.end(JSON.stringify(lease.claims));
});
await verifier.ready();
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`ready at http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
