import { mkdir, writeFile } from "node:fs/promises";
import { cpus, totalmem, type } from "node:os";
import { join } from "node:path";
import process from "node:process";
import Table from "cli-table3";

/** What a case was to come to, and what it came to. */
export interface Mark {
  readonly what: string;
  /** `>= 0.97 x`; what is only reported has none. */
  readonly wanted: string;
  readonly got: number;
  readonly isMet: boolean;
}

export interface Outcome {
  /** Heads first. Numbers are rounded to three digits when printed, not in the JSON. */
  readonly table: readonly (readonly (string | number)[])[];
  /** Each is reached if all of its marks are met. */
  readonly goals: readonly (readonly Mark[])[];
}

export interface Case {
  readonly name: string;
  /** What is measured, against what: a sentence. */
  readonly title: string;
  readonly run: () => Promise<Outcome>;
}

export interface Finished extends Outcome {
  readonly name: string;
  readonly title: string;
  readonly seconds: number;
}

export function atLeast(what: string, least: number, got: number): Mark {
  return { what, wanted: `>= ${least}`, got, isMet: got >= least };
}

export function atMost(what: string, most: number, got: number): Mark {
  return { what, wanted: `<= ${most}`, got, isMet: got <= most };
}

export function isReached(goal: readonly Mark[]): boolean {
  return goal.every((mark) => mark.isMet);
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Nearest rank; `share` of 0.99 is the 99th percentile. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function print({ table: [head, ...rows], goals }: Outcome): string {
  const table = new Table({ head: (head ?? []).map(String), style: { head: [], border: [] } });
  for (const row of rows) table.push(row.map(show));
  const lines = goals
    .flat()
    .map(
      ({ what, wanted, got, isMet }) =>
        `  ${isMet ? "met   " : "MISSED"}  ${what}: ${show(got)} (wanted ${wanted})`,
    );
  return [table.toString(), ...lines, ""].join("\n");
}

function show(value: string | number): string {
  if (typeof value === "string") return value;
  if (Number.isInteger(value)) return value.toLocaleString("en").replaceAll(",", " ");
  return Math.abs(value) >= 1_000 ? show(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** A run as it is written to results/. */
export interface Run {
  readonly at: string;
  readonly commit: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly cases: readonly Finished[];
}

/** Writes a run as JSON, with the machine that it comes from. Gives back the file's path, too. */
export async function writeRun(
  commit: string,
  cases: readonly Finished[],
): Promise<{ readonly file: string; readonly run: Run }> {
  const folder = join(import.meta.dirname, "../results");
  await mkdir(folder, { recursive: true });
  const at = new Date().toISOString();
  const machine = {
    processors: `${cpus().length} x ${cpus()[0]?.model}`,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: type(),
    node: process.version,
  };
  const file = join(folder, `${at.slice(0, 10)}-${commit}.json`);
  const run = { at, commit, machine, cases };
  await writeFile(file, `${JSON.stringify(run, null, 2)}\n`);
  return { file, run };
}
