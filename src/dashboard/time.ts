const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A moment as people of this place write it; `at` is ISO 8601. */
export function timeOf(at: string): string {
  return MOMENT.format(new Date(at));
}

/** To the second; with the day unless it is today. */
export function momentOf(at: string): string {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? TIME.format(date) : MOMENT.format(date);
}

/** What a field for a date and a time holds, in the time zone of whoever filled it in. Null: nothing yet. */
export function toMoment(text: string): string | null {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
