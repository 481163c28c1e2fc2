import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoginDocument, SignUpDocument } from "../../src/client/generated/graphql.ts";
import { createTestClient, logIn, withToken } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { type MailServer, startMailServer, tokenIn } from "../kit/mail-server.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const EMAIL = "ann@example.com";

/** The examples of a page: an operation, and what its `data` is. */
async function examples(
  page: string,
): Promise<readonly { readonly query: string; readonly answer: string }[]> {
  const text = await readFile(join(import.meta.dirname, "../../docs", page), "utf8");
  const found = [...text.matchAll(/```graphql\n(.*?)```\n```json\n(.*?)```/gs)];
  expect(found.length).toBe(text.split("```graphql").length - 1);
  return found.map(([, query = "", answer = ""]) => ({ query, answer }));
}

/** Replaces in the answer what the page leaves open. */
function open(expected: unknown): unknown {
  if (expected === "*") return expect.any(String);
  if (typeof expected !== "object" || expected === null) return expected;
  return Object.fromEntries(Object.entries(expected).map(([key, value]) => [key, open(value)]));
}

describe.each(DATABASES)("docs/accounts.md on the %s database", (kind) => {
  let node: TestNode;
  let mails: MailServer;
  beforeAll(async () => {
    mails = await startMailServer();
    node = await startTestNode(kind, { settings: { ...mails.settings, ROLES: "AUDITOR:read-sessions" } });
  });
  afterAll(async () => {
    await node.stop();
    await mails.stop();
  });

  const logInWithFirefox = (password: string) =>
    createTestClient(node.url, { "user-agent": FIREFOX }).run(LoginDocument, {
      input: { email: EMAIL, password },
    });

  test("answers as the page says, example by example", async () => {
    const password = "correct horse";
    const { data } = await createTestClient(node.url).run(SignUpDocument, {
      input: { email: EMAIL, name: "Ann", password, passwordConfirmation: password, returnToken: true },
    });
    if (data?.signUp.__typename !== "LoginSuccess") throw new Error(JSON.stringify(data));
    const { token, user } = data.signUp;
    let ann = withToken(node.url, token ?? "");
    await logIn(node.url, { email: EMAIL, password });

    for (const { query, answer } of await examples("accounts.md")) {
      const field = Object.keys(JSON.parse(answer))[0] ?? "";
      let sent = query.replace('"*"', JSON.stringify(user.id));
      if (field === "resetPassword") {
        sent = sent.replace("llr_...", tokenIn(await mails.find(EMAIL, "Choose a new password")));
      }
      if (field === "reportSession") {
        await logInWithFirefox("staple battery");
        sent = sent.replace("llr_...", tokenIn(await mails.find(EMAIL, "New sign-in to your account")));
      }
      // Her session ended with the reset.
      if (field === "reauthenticate")
        ann = await logIn(node.url, { email: EMAIL, password: "staple battery" });
      const client = field === "changeUserRole" ? await logIn(node.url, ADMIN) : ann;
      expect((await client.run(sent)).data, sent).toEqual(open(JSON.parse(answer)));
    }
  });
});
