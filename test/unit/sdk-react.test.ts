import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { createSessionClient } from "../../src/client/core.ts";
import { SessionProvider, SignedIn, SignedOut, useSession } from "../../src/client/react.ts";

function Status() {
  return createElement("p", null, useSession().status);
}

test("on a server the session renders as loading, and nothing is asked", () => {
  let requests = 0;
  const client = createSessionClient({
    url: "https://login.example.com/graphql",
    fetch: () => {
      requests += 1;
      throw new Error("a server that renders asks nobody");
    },
  });
  const page = createElement(
    SessionProvider,
    { client },
    createElement(Status),
    createElement(SignedIn, null, "in"),
    createElement(SignedOut, null, "out"),
  );
  expect(renderToString(page)).toBe("<p>loading</p>");
  expect(requests).toBe(0);
});

test("a hook outside of a provider says what is missing", () => {
  expect(() => renderToString(createElement(Status))).toThrow(
    "Put a <SessionProvider client={client}> around",
  );
});
