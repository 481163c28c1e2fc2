import { once } from "node:events";
import type { AddressInfo } from "node:net";
import PostalMime, { type Email } from "postal-mime";
import { SMTPServer } from "smtp-server";
import { eventually } from "./deadline.ts";

/** A real SMTP server on the loopback interface that keeps what it gets. */
export interface MailServer {
  /** The settings of a node that sends its mails here. */
  readonly settings: Readonly<Record<string, string>>;
  /** All mails to an address so far, the oldest first. */
  readonly to: (address: string) => readonly Email[];
  /** Waits for the mail of this subject to an address; the newest, if there are more. */
  readonly find: (address: string, subject: string) => Promise<Email>;
  /** From now on mails are turned away with a temporary failure, or not any more. */
  readonly refuse: (isRefusing: boolean) => void;
  /** How many mails were turned away. */
  readonly refused: () => number;
  readonly stop: () => Promise<void>;
}

export async function startMailServer(): Promise<MailServer> {
  const mails: Email[] = [];
  let isRefusing = false;
  let refused = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onData(stream, _session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => void chunks.push(chunk));
      stream.on("end", async () => {
        if (isRefusing) {
          refused += 1;
          return done(Object.assign(new Error("Try again later"), { responseCode: 451 }));
        }
        mails.push(await PostalMime.parse(Buffer.concat(chunks)));
        done();
      });
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const { port } = server.server.address() as AddressInfo;
  const to = (address: string) =>
    mails.filter((mail) => mail.to?.some((recipient) => recipient.address === address));
  const ofSubject = (address: string, subject: string) =>
    to(address).findLast((mail) => mail.subject === subject);
  return {
    settings: {
      SMTP_URL: `smtp://127.0.0.1:${port}`,
      MAIL_FROM: "Login <no-reply@login.example>",
      PUBLIC_URL: "http://login.example",
    },
    to,
    async find(address, subject) {
      await eventually(
        `the mail "${subject}" to ${address}`,
        () => ofSubject(address, subject) !== undefined,
      );
      return ofSubject(address, subject) as Email;
    },
    refuse(refuses) {
      isRefusing = refuses;
    },
    refused: () => refused,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** The secret in a mail's link; fails if the text and the HTML do not have the same one. */
export function tokenIn(mail: Email): string {
  const links = [mail.text, mail.html].map((content) => /#token=(llr_[0-9A-Za-z]+)/.exec(content ?? "")?.[1]);
  const [token] = links;
  if (!token || links.some((link) => link !== token))
    throw new Error(`no link in ${mail.subject}: ${mail.text}`);
  return token;
}
