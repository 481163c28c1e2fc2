// Takes security event tokens that live-logout pushes (RFC 8935), and says whose session ended and why.
//
//   ISSUER=https://login.example.com AUDIENCE=https://shop.example.com SECRET=... PORT=4100 node receiver.js

import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { createRemoteJWKSet, jwtVerify } from "jose";

const { ISSUER = "http://127.0.0.1:4000", AUDIENCE = "", SECRET = "", PORT = "4100" } = process.env;
const SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", ISSUER));

// What came already: a token may come twice. A real receiver keeps this in its database, with what it did.
const seen = new Set();

/** What a real receiver does: end what it has open for this session. */
function onSessionRevoked(event) {
  console.log(JSON.stringify(event));
}

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(body && JSON.stringify(body));
}

const server = createServer(async (request, response) => {
  if (request.headers.authorization !== `Bearer ${SECRET}`) {
    return answer(response, 401, { err: "authentication_failed", description: "Send the secret." });
  }
  try {
    const rules = { issuer: ISSUER, audience: AUDIENCE, typ: "secevent+jwt" };
    const { payload } = await jwtVerify(await text(request), keys, rules);
    const event = payload.events[SESSION_REVOKED];
    if (event && !seen.has(payload.jti)) {
      seen.add(payload.jti);
      const { user, session } = payload.sub_id;
      onSessionRevoked({ userId: user.id, sessionId: session.id, reason: event.reason_admin.en });
    }
    answer(response, 202);
  } catch (error) {
    // Where the keys cannot be had it is not the token's fault, so it is to come again.
    const isTokensFault = String(error.code).startsWith("ERR_J");
    answer(response, isTokensFault ? 400 : 503, { err: "invalid_request", description: error.message });
  }
});

server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`ready at http://127.0.0.1:${server.address().port}`);
});
