import Bowser from "bowser";

/** A device for people: "Chrome on macOS", "curl", "Unknown device". */
export function deviceName(userAgent: string | null): string {
  if (!userAgent) return "Unknown device";
  const { browser, os } = Bowser.parse(userAgent);
  const program = browser.name || /^[A-Za-z][\w .-]{0,40}(?=\/)/.exec(userAgent)?.[0];
  if (program && os.name) return `${program} on ${os.name}`;
  return program ?? os.name ?? "Unknown device";
}
