import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import type { Message } from "./messages.ts";

/** How long a mail server may take for each step before the mail is tried again later. */
const SMTP_TIMEOUT_MS = 15_000;

/** Hands mails over. */
export interface MailTransport {
  /** Resolves once somebody else is responsible for the mail. `id` is the same at each attempt, so that readers see one. */
  readonly send: (id: string, message: Message) => Promise<void>;
  readonly close: () => void;
}

type CreateTransport = typeof import("nodemailer").createTransport;

type MailConfig = Pick<Config, "smtpUrl" | "mailFrom" | "dataDir" | "isProduction">;

/** By SMTP, or else into files that any mail program opens. */
export function createMailTransport(config: MailConfig, log: Logger): MailTransport {
  // With the first mail, so that no start has to wait for it.
  let opened: Promise<MailTransport> | undefined;
  async function open(): Promise<MailTransport> {
    const { createTransport } = await import("nodemailer");
    return config.smtpUrl
      ? smtpTransport(createTransport, config.smtpUrl, config.mailFrom)
      : fileTransport(createTransport, join(config.dataDir, "mail"), config, log);
  }
  return {
    async send(id, message) {
      opened ??= open();
      await (await opened).send(id, message);
    },
    close: () => void opened?.then((transport) => transport.close()),
  };
}

function smtpTransport(
  createTransport: CreateTransport,
  url: string,
  from: string | undefined,
): MailTransport {
  const transport = createTransport(
    {
      url,
      pool: true,
      connectionTimeout: SMTP_TIMEOUT_MS,
      greetingTimeout: SMTP_TIMEOUT_MS,
      socketTimeout: SMTP_TIMEOUT_MS,
    },
    { from },
  );
  return {
    send: async (id, message) => void (await transport.sendMail(envelope(id, message))),
    close: () => transport.close(),
  };
}

function fileTransport(
  createTransport: CreateTransport,
  folder: string,
  { mailFrom, isProduction }: MailConfig,
  log: Logger,
): MailTransport {
  const from = mailFrom ?? "live-logout <no-reply@localhost>";
  const transport = createTransport({ streamTransport: true, buffer: true, newline: "unix" }, { from });
  return {
    async send(id, message) {
      const { message: content } = await transport.sendMail(envelope(id, message));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = join(folder, `${id}.eml`);
      await writeFile(file, content as Buffer, { mode: 0o600 });
      // Whoever develops on this machine clicks them; in production a link is a secret.
      const links = isProduction ? [] : (message.text.match(/https?:\/\/\S+/g) ?? []);
      log.info({ to: message.to, subject: message.subject, file, links }, "a mail was written to a file");
    },
    close() {},
  };
}

function envelope(id: string, message: Message) {
  return {
    ...message,
    messageId: `<${id}@live-logout>`,
    headers: { "auto-submitted": "auto-generated" },
  };
}
