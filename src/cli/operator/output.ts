import process from "node:process";
import Table from "cli-table3";

/** What is printed of one thing, by column. */
export type Row = Readonly<Record<string, string | number | null>>;

/** What a column takes besides its text: a space on each side and a border. */
const COLUMN_FRAME = 3;
const NARROWEST = 8;

/** Prints rows: as a table that fits the terminal, as JSON, or, into a pipe, as lines with tabs. */
export function printRows(rows: readonly Row[], { json = false }: { readonly json?: boolean }): void {
  if (json) {
    print(JSON.stringify(rows, null, 2));
    return;
  }
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => columns.map((column) => String(row[column] ?? "")));
  if (!process.stdout.isTTY) {
    for (const line of cells.length > 0 ? [columns, ...cells] : []) print(line.join("\t"));
    return;
  }
  if (cells.length === 0) {
    print("There is nothing.");
    return;
  }
  const table = new Table({
    head: columns,
    colWidths: fitColumns(columns, cells, process.stdout.columns),
    style: { head: [], border: [], compact: true },
  });
  table.push(...cells);
  print(table.toString());
}

/** The widths of the columns; where they are wider than the terminal, the widest give way. */
function fitColumns(
  columns: readonly string[],
  cells: readonly (readonly string[])[],
  width: number,
): number[] {
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const room = Math.max(width - 1 - columns.length * COLUMN_FRAME, columns.length * NARROWEST);
  for (let total = sum(widths); total > room; total--) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths.map((text) => text + COLUMN_FRAME - 1);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** For people; a script that reads the output is not to see it. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** `2026-11-21 09:30:00`, in UTC, as the database's logs have it. */
export function momentOf(date: Date): string {
  return date.toISOString().slice(0, 19).replace("T", " ");
}

/** "1 session", "12 sessions" */
export function countOfSessions(count: number): string {
  return count === 1 ? "1 session" : `${count} sessions`;
}
