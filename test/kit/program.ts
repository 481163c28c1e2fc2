import { existsSync } from "node:fs";
import process from "node:process";

export interface Program {
  readonly path: string;
  /** Its tests are to be skipped. Never where `CI` is set: there they fail without it. */
  readonly isMissing: boolean;
}

/** Looks for a program that Debian has and npm has not. `untested` is what is said to go untested without it. */
export function findProgram(name: string, untested: string): Program {
  const path = ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
    .map((folder) => `${folder}/${name}`)
    .find((place) => existsSync(place));
  const isMissing = path === undefined && !process.env["CI"];
  if (isMissing) process.stderr.write(`\nSKIPPED: no ${name} here, so ${untested} NOT tested.\n\n`);
  return { path: path ?? name, isMissing };
}
