import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";

const COMMAND_LINE = join(import.meta.dirname, "../../src/cli/live-logout.ts");

export interface CommandResult {
  readonly code: number | null;
  /** What a terminal shows in the end: of a line that was written over and over, the last. */
  readonly stdout: string;
  readonly stderr: string;
}

type Settings = Readonly<Record<string, string>>;

/** Runs `live-logout` with these arguments into pipes. */
export function runPiped(args: readonly string[], settings: Settings, input = ""): Promise<CommandResult> {
  return run(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", COMMAND_LINE, ...args],
    settings,
    input,
  );
}

/** Runs `live-logout ${line}` in a terminal of its own that is so many columns wide. All that it prints comes as `stdout`. */
export async function runInTerminal(
  line: string,
  settings: Settings,
  columns: number,
): Promise<CommandResult> {
  const node = `'${process.execPath}' --disable-warning=ExperimentalWarning '${COMMAND_LINE}'`;
  const command = `stty cols ${columns} rows 40; exec ${node} ${line}`;
  const { code, stdout, stderr } = await run("script", ["-qefc", command, "/dev/null"], settings, "");
  // A progress bar goes back to the first column and writes over what it wrote.
  const toFirstColumn = new RegExp(`${String.fromCharCode(27)}\\[1?G`, "g");
  const lines = stdout.split("\r\n").map((line) => {
    const written = stripVTControlCharacters(line.replace(toFirstColumn, "\r")).split("\r");
    return written.findLast((text) => text !== "") ?? "";
  });
  return { code, stdout: lines.join("\n"), stderr };
}

async function run(
  program: string,
  args: readonly string[],
  settings: Settings,
  input: string,
): Promise<CommandResult> {
  const child = spawn(program, args, { env: { PATH: process.env["PATH"], TERM: "xterm", ...settings } });
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
