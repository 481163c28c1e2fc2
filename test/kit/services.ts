import { CreateServiceAccountDocument, type Scope } from "../../src/client/generated/graphql.ts";
import { logIn, type TestClient, withToken } from "./client.ts";
import { ADMIN } from "./node.ts";

export interface TestService extends TestClient {
  readonly token: string;
  readonly id: string;
}

/** A service account that the administrator has made just now. */
export async function createService(
  url: string,
  scopes: readonly Scope[],
  { name = "Billing", livesForMs = 3_600_000 }: { readonly name?: string; readonly livesForMs?: number } = {},
): Promise<TestService> {
  const admin = await logIn(url, ADMIN);
  const expiresAt = new Date(Date.now() + livesForMs).toISOString();
  const { data, errors } = await admin.run(CreateServiceAccountDocument, {
    input: { name, scopes: [...scopes], expiresAt },
  });
  const result = data?.createServiceAccount;
  if (result?.__typename !== "CreateServiceAccountSuccess") {
    throw new Error(`no service account: ${JSON.stringify(result)} ${JSON.stringify(errors)}`);
  }
  return { ...withToken(url, result.token), token: result.token, id: result.serviceAccount.id };
}
