import { badRequest } from "./errors.ts";

/** The most that one page holds; asking for more is refused instead of quietly giving less. */
export const MAX_PAGE_SIZE = 100;

/** What a page holds when nothing is said. */
export const DEFAULT_PAGE_SIZE = 20;

export const TOTAL_COUNT = "How many there are on all pages together.";

/** Longer than any email or name that is stored. */
const MAX_TEXT_LENGTH = 254;

/** Throws `BAD_REQUEST` unless the page asked for is of a size that is served. */
export function checkPageSize(args: {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
}): void {
  for (const path of ["first", "last"] as const) {
    const size = args[path];
    if (size != null && (size < 1 || size > MAX_PAGE_SIZE)) {
      throw badRequest([{ path, message: `must be from 1 to ${MAX_PAGE_SIZE}` }]);
    }
  }
}

/** A text to search or filter by. Throws `BAD_REQUEST` for one that nothing stored can match. */
export function checkText(text: string, path: string): string {
  if (text.length > MAX_TEXT_LENGTH) {
    throw badRequest([{ path, message: `must have at most ${MAX_TEXT_LENGTH} characters` }]);
  }
  if (text.includes("\0") || !text.isWellFormed()) {
    throw badRequest([{ path, message: "must be Unicode without NUL" }]);
  }
  return text;
}
