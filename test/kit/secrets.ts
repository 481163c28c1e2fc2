/** The password of every user that the kit signs up, and the first administrator's. */
export const KIT_PASSWORDS = { user: "a password of theirs", admin: "correct horse battery" } as const;

const SECRETS = [
  // Tokens of sessions, service accounts, receivers and links, also cut off ones.
  /\bll[sker]_[0-9A-Za-z]{20,}/,
  /\$argon2id\$/,
  // Signed tokens.
  /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}/,
  ...Object.values(KIT_PASSWORDS).map((password) => new RegExp(password)),
];

/**
 * Fails if a secret stands in what the service logged. Each node in the process of a test, and each process that `startProcess`
 * starts, is looked at when it ends. Those of the cluster tests, the demo and the command line are not.
 */
export function expectNoSecret(lines: readonly string[]): void {
  for (const line of lines) {
    // Without a mail server links are to be found in the log: docs/accounts.md.
    if (line.includes('"a mail was written to a file"')) continue;
    const found = SECRETS.find((secret) => secret.test(line));
    if (found) throw new Error(`a secret (${found.source}) stands in the log: ${line}`);
  }
}
