import type { PrismaClient, Session, User } from "../database/generated/client.ts";
import type { OutboxItem } from "../database/outbox.ts";
import { deviceName } from "../sessions/device.ts";
import { issueReportToken } from "../sessions/report.ts";
import { issueResetToken } from "../users/password-reset.ts";
import { issueSignUpToken } from "../users/sign-up.ts";
import {
  confirmSignUpMessage,
  emailTakenMessage,
  type Message,
  passwordChangedMessage,
  passwordResetMessage,
  signInMessage,
  unusualActivityMessage,
} from "./messages.ts";

export interface ComposeRooms {
  readonly prisma: PrismaClient;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  /** Where people reach the service: `https://login.example.com`. Never what a request says. */
  readonly origin: string;
}

/**
 * Puts a mail into words, with a fresh link. Undefined: there is nobody to tell any more, or never was. Throws when the
 * database does.
 */
export async function composeMail(rooms: ComposeRooms, item: OutboxItem): Promise<Message | undefined> {
  const { prisma } = rooms;
  // Behind the # nothing is sent to any server, so a link's secret stands in no log and no Referer.
  const link = (page: string, token: string) => `${rooms.origin}/${page}#token=${token}`;
  const forgotten = `${rooms.origin}/forgot-password`;
  switch (item.kind) {
    case "passwordReset": {
      const issued = await issueResetToken(rooms, item.details.email);
      return issued && passwordResetMessage(issued.user, link("reset-password", issued.token));
    }
    case "signUp": {
      const { email, name } = item.details;
      const token = await issueSignUpToken(rooms, item.details);
      if (token) return confirmSignUpMessage({ email, name }, link("confirm-sign-up", token));
      const user = await prisma.user.findUnique({ where: { email } });
      return user ? emailTakenMessage(user, rooms.origin, forgotten) : undefined;
    }
    case "passwordChanged": {
      const user = await findUser(prisma, item);
      return user && passwordChangedMessage(user, item.createdAt, item.details.ipAddress, forgotten);
    }
    case "signIn": {
      const session = await findSession(prisma, item);
      const token = session && (await issueReportToken(rooms, session.id));
      if (!token) return undefined;
      const { createdAt: at, ipAddress, userAgent, user } = session;
      return signInMessage(
        user,
        { at, ipAddress, device: deviceName(userAgent) },
        link("report-session", token),
      );
    }
    case "unusualActivity": {
      const user = await findUser(prisma, item);
      const { ipAddress, userAgent, ended } = item.details;
      const circumstances = { at: item.createdAt, ipAddress, device: deviceName(userAgent) };
      return user && unusualActivityMessage(user, circumstances, ended, forgotten);
    }
  }
}

async function findUser(prisma: PrismaClient, { userId }: OutboxItem): Promise<User | undefined> {
  return (userId && (await prisma.user.findUnique({ where: { id: userId } }))) || undefined;
}

async function findSession(
  prisma: PrismaClient,
  { sessionId }: OutboxItem,
): Promise<(Session & { readonly user: User }) | undefined> {
  if (!sessionId) return undefined;
  const where = { id: sessionId };
  return (await prisma.session.findUnique({ where, include: { user: true } })) ?? undefined;
}
