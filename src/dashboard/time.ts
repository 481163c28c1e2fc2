const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A moment as people of this place write it; `at` is ISO 8601. */
export function timeOf(at: string): string {
  return MOMENT.format(new Date(at));
}
