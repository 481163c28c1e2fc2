import { accessTokenClaims } from "../sessions/access-token.ts";
import { builder } from "./builder.ts";
import { requireViewer } from "./context.ts";

interface AccessToken {
  readonly token: string;
  readonly expiresAt: Date;
}

const AccessTokenObject = builder.objectRef<AccessToken>("AccessToken").implement({
  description: "A signed token (JWT, RFC 9068) that other services check by themselves.",
  fields: (t) => ({
    token: t.exposeString("token", {
      description: "For `Authorization: Bearer` at other services; this one does not take it.",
    }),
    expiresAt: t.expose("expiresAt", { type: "DateTime", description: "When to ask for the next one." }),
  }),
});

builder.mutationField("issueAccessToken", (t) =>
  t.field({
    type: AccessTokenObject,
    description:
      "A short-lived token for other services. Its keys are at /.well-known/jwks.json; whoever follows `sessionEvents`, as " +
      "@live-logout/verifier does, refuses it the moment its session ends.",
    resolve: async (_root, _args, context) => {
      const viewer = requireViewer(context);
      const { claims, expiresAt } = accessTokenClaims(viewer, context.now(), context.policies);
      return { token: await context.signer.sign(claims, { type: "at+jwt", expiresAt }), expiresAt };
    },
  }),
);
