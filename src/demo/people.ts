import { randomInt } from "node:crypto";

/** How many users the demo makes up. */
const PEOPLE = 300;

const FIRST_NAMES =
  "Ada Alan Alice Amara Ana Ben Bo Carla Chen Clara Dana David Edith Eli Emma Farid Finn Grace Hana Hugo Ida Ines Ivan Jack Jana Jin Joan Kai Karl Lena Leo Lina Luis Maja Marc Mei Mina Nadia Nils Noor Olga Omar Otto Paul Petra Quinn Rosa Ruth Sam Sara Tariq Tess Theo Uma Vera Wanda Yara Zoe".split(
    " ",
  );
const LAST_NAMES =
  "Adler Baker Braun Costa Diaz Evans Fischer Garcia Haddad Ito Jansen Kaya Kim Kovacs Larsen Lopez Martin Meyer Moreau Nguyen Novak Okafor Olsen Patel Petrov Reed Rossi Sato Silva Singh Stein Tanaka Torres Varga Vogel Wagner Walker Weber Wolf Young".split(
    " ",
  );

const USER_AGENTS = [
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
] as const;

/** Where somebody signs in from. */
export interface Place {
  readonly userAgent: string;
  readonly ipAddress: string;
}

/** Somebody who does not exist. */
export interface Person {
  readonly email: string;
  readonly name: string;
  readonly role: "USER" | "SUPPORT";
  readonly places: readonly [Place, Place];
}

export function pick<T>(all: readonly T[]): T {
  const chosen = all[randomInt(all.length)];
  if (chosen === undefined) throw new Error("there is nothing to choose from");
  return chosen;
}

/** The same people each time, so that the demo knows them again. */
export function makePeople(): readonly Person[] {
  return Array.from({ length: PEOPLE }, (_, index): Person => {
    const first = FIRST_NAMES[(index * 7) % FIRST_NAMES.length] ?? "";
    const last = LAST_NAMES[(index * 11 + Math.floor(index / FIRST_NAMES.length)) % LAST_NAMES.length] ?? "";
    // Addresses that are set aside for examples: RFC 5737.
    const place = (offset: number): Place => ({
      userAgent: USER_AGENTS[(index * 3 + offset) % USER_AGENTS.length] ?? "",
      ipAddress: `${offset === 0 ? "203.0.113" : "198.51.100"}.${(index % 250) + 1}`,
    });
    return {
      email: `${first}.${last}.${index}@demo.example`.toLowerCase(),
      name: `${first} ${last}`,
      role: index % 60 === 0 ? "SUPPORT" : "USER",
      places: [place(0), place(1)],
    };
  });
}
