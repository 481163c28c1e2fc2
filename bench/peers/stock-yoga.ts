import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createSchema, createYoga } from "graphql-yoga";
import { offer } from "../kit/offer.ts";

// Yoga as its documentation shows it, without any session handling: everybody is the same viewer.

const yoga = createYoga({
  schema: createSchema({
    typeDefs: "type Query { viewer: User } type User { id: ID! }",
    resolvers: { Query: { viewer: () => ({ id: "0f5b2c1e-5a0e-4c6e-9d55-1f7e8c3c2a11" }) } },
  }),
  logging: false,
});
const server = createServer(yoga);
server.listen(0, "127.0.0.1");
await once(server, "listening");
offer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
