// An app that knows nothing of sessions: nginx says who asks.
//
//   PORT=5000 node app.js

import { createServer } from "node:http";

const server = createServer((request, response) => {
  const { "x-auth-user-id": userId, "x-auth-role": role } = request.headers;
  response.end(`Hello ${userId}, you are ${role}.\n`);
});

server.listen(Number(process.env.PORT ?? 5000), "127.0.0.1", () => {
  console.log(`ready at http://127.0.0.1:${server.address().port}`);
});
