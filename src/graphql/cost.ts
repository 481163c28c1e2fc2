import { type GraphQLField, getNullableType, isListType } from "graphql";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "./paging.ts";

/** How many fields an operation may come to answer, pages and lists taken for as long as they may get. */
export const MAX_COST = 25_000;
/** How long a list is taken for that is no page: a user's sessions, a role's rights. */
const LIST_LENGTH = 20;

type Field = Pick<GraphQLField<unknown, unknown>, "name" | "args" | "type">;

/** What a field costs: itself, and what is asked of each thing that it leads to. */
export function costOf(
  args: Readonly<Record<string, unknown>>,
  _context: unknown,
  field: Field,
): { readonly field: number; readonly multiplier: number } {
  return { field: 1, multiplier: lengthOf(args, field) };
}

function lengthOf(args: Readonly<Record<string, unknown>>, field: Field): number {
  if (field.args.some(({ name }) => name === "first")) {
    const asked = args["first"] ?? args["last"];
    return Math.min(typeof asked === "number" ? asked : DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
  }
  // The page counts already.
  if (field.name === "edges") return 1;
  return isListType(getNullableType(field.type)) ? LIST_LENGTH : 1;
}
