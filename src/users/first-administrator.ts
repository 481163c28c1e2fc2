import { randomBytes } from "node:crypto";
import type { Database } from "../database/database.ts";
import { OperatorError } from "../operator-error.ts";
import type { PasswordHasher } from "./password.ts";
import { createUser } from "./sign-up.ts";

export interface FirstAdministrator {
  readonly email: string;
  /** Only when it was made up here: to be shown once. */
  readonly generatedPassword: string | undefined;
}

/**
 * Creates the first administrator if there is none, active or not; undefined otherwise. Of several nodes that
 * start at once, one does it. Throws {@link OperatorError} if the email belongs to somebody else.
 */
export async function ensureAdministrator(
  rooms: { readonly database: Database; readonly passwords: PasswordHasher },
  settings: { readonly email: string; readonly password: string | undefined },
): Promise<FirstAdministrator | undefined> {
  const { database, passwords } = rooms;
  return database.exclusively("first administrator", async () => {
    const { prisma } = database;
    if (await prisma.user.findFirst({ where: { role: "ADMIN" } })) return undefined;
    const password = settings.password ?? randomBytes(15).toString("base64url");
    const user = await createUser(
      { prisma, passwords },
      { email: settings.email, name: "Administrator", password, role: "ADMIN" },
    );
    if (!user) {
      // Promoting whoever signed up with this email would hand them the service.
      throw new OperatorError(
        `There is no administrator yet, and ${settings.email} is an ordinary user. Set ADMIN_EMAIL to another ` +
          "address, or give that user the role: UPDATE users SET role = 'ADMIN' WHERE email = '...'.",
      );
    }
    return { email: user.email, generatedPassword: settings.password ? undefined : password };
  });
}
