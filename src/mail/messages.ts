/** A mail, without whom it comes from. */
export interface Message {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** What a mail says, before it is put into words for those who read text and those who read HTML. */
interface Letter {
  readonly to: { readonly email: string; readonly name: string };
  readonly subject: string;
  readonly paragraphs: readonly string[];
  /** The one thing to do. */
  readonly action?: { readonly label: string; readonly url: string };
  /** What follows the link. */
  readonly closing: string;
}

/** Where something was done, for people. */
export interface Circumstances {
  readonly at: Date;
  readonly device: string;
  readonly ipAddress: string | null;
}

export interface Person {
  readonly email: string;
  readonly name: string;
}

export function signInMessage(to: Person, circumstances: Circumstances, reportUrl: string): Message {
  return write({
    to,
    subject: "New sign-in to your account",
    paragraphs: [
      "Somebody signed in to your account:",
      describe(circumstances),
      "Was it you? Then all is well.",
    ],
    action: { label: "This wasn't me", url: reportUrl },
    closing: "The link ends that session at once, and you get another mail to choose a new password.",
  });
}

export function passwordResetMessage(to: Person, resetUrl: string): Message {
  return write({
    to,
    subject: "Choose a new password",
    paragraphs: ["A new password was asked for, for your account."],
    action: { label: "Choose a new password", url: resetUrl },
    closing:
      "The link is good for 30 minutes, and once. A new password logs you out everywhere. If you did not ask for it, " +
      "there is nothing to do: nobody else sees this mail.",
  });
}

export function passwordChangedMessage(
  to: Person,
  at: Date,
  ipAddress: string | null,
  resetUrl: string,
): Message {
  return write({
    to,
    subject: "Your password was changed",
    paragraphs: [
      `Your password was changed on ${time(at)}, ${place(ipAddress)}.`,
      "Was it you? Then all is well.",
    ],
    action: { label: "This wasn't me: ask for a new password", url: resetUrl },
    closing: "If it was not you, take your account back now, and look after your mailbox too.",
  });
}

export function confirmSignUpMessage(to: Person, confirmUrl: string): Message {
  return write({
    to,
    subject: "Confirm your email",
    paragraphs: ["Somebody, probably you, is signing up with this email."],
    action: { label: "Finish signing up", url: confirmUrl },
    closing:
      "The link is good for a day, and asks for the password that you chose. If it was not you, ignore this mail.",
  });
}

export function emailTakenMessage(to: Person, loginUrl: string, resetUrl: string): Message {
  return write({
    to,
    subject: "You have an account already",
    paragraphs: [
      "Somebody, probably you, tried to sign up with this email. It has an account already: log in instead.",
      `Did you forget the password? Ask for a new one: ${resetUrl}`,
    ],
    action: { label: "Log in", url: loginUrl },
    closing: "If it was not you, there is nothing to do.",
  });
}

export function unusualActivityMessage(
  to: Person,
  circumstances: Circumstances,
  ended: boolean,
  resetUrl: string,
): Message {
  const outcome = ended
    ? "It was ended to be on the safe side. Was it you? Then log in again."
    : "Was it you? Then all is well.";
  return write({
    to,
    subject: "Unusual activity in your account",
    paragraphs: [
      "One of your sessions was used from another network and another device than it was begun on:",
      describe(circumstances),
      outcome,
    ],
    action: { label: "This wasn't me: choose a new password", url: resetUrl },
    closing: "A new password logs you out everywhere.",
  });
}

function describe({ at, device, ipAddress }: Circumstances): string {
  return `${time(at)}, ${device}, ${place(ipAddress)}`;
}

function place(ipAddress: string | null): string {
  return ipAddress ? `from the address ${ipAddress}` : "from an unknown address";
}

function time(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function write({ to, subject, paragraphs, action, closing }: Letter): Message {
  const greeting = `Hello ${to.name},`;
  const link = action ? [`${action.label}:\n${action.url}`] : [];
  const text = [greeting, ...paragraphs, ...link, closing].join("\n\n");
  const body = [
    ...[greeting, ...paragraphs].map((paragraph) => `<p>${escaped(paragraph)}</p>`),
    ...(action ? [`<p><a href="${escaped(action.url)}">${escaped(action.label)}</a></p>`] : []),
    `<p>${escaped(closing)}</p>`,
  ].join("\n");
  const html = `<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${escaped(subject)}</title></head>\n<body>\n${body}\n</body>\n</html>\n`;
  return { to: to.email, subject, text: `${text}\n`, html };
}

/** Names and user agents are what somebody else wrote: in HTML they are text and nothing more. */
function escaped(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
