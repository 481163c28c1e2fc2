// Another back end that honours live-logout's sessions: it checks access tokens by itself, and refuses them the moment their
// session ends.
//
//   LOGIN_URL=https://login.example.com SERVICE_TOKEN=llk_... PORT=4200 node server.js

import { createServer } from "node:http";
import { createVerifier } from "@live-logout/verifier";
import { guard } from "@live-logout/verifier/http";

const { LOGIN_URL = "http://127.0.0.1:4000", SERVICE_TOKEN = "", PORT = "4200" } = process.env;

const verifier = createVerifier({
  url: `${LOGIN_URL}/graphql`,
  serviceToken: SERVICE_TOKEN,
  onError: (error) => console.error(String(error)),
});

const server = createServer(async (request, response) => {
  const lease = await guard(verifier, request, response);
  if (lease) response.end(`Hello ${lease.claims.userId}, you are ${lease.claims.role}.\n`);
});

await verifier.ready();
server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`ready at http://127.0.0.1:${server.address().port}`);
});
