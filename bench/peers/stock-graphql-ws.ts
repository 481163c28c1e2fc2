import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { createPubSub } from "graphql-yoga";
import { WebSocketServer } from "ws";
import { offer } from "../kit/offer.ts";

// graphql-ws as its documentation shows it, with a subscription by the same name and no sessions.

const ends = createPubSub<{ sessionRevoked: [{ readonly reason: string; readonly message: string }] }>();
const text = { type: new GraphQLNonNull(GraphQLString) };
const revocation = new GraphQLObjectType({
  name: "SessionRevocation",
  fields: { reason: text, message: text },
});
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: "Query", fields: { hello: text } }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: {
      sessionRevoked: {
        type: revocation,
        subscribe: () => ends.subscribe("sessionRevoked"),
        resolve: (end) => end,
      },
    },
  }),
});
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
useServer({ schema }, server);
await once(server, "listening");
offer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
