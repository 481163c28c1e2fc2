/** "1 session", "3,000 sessions" */
export function countOf(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count.toLocaleString()} ${noun}s`;
}

export function countOfSessions(count: number): string {
  return countOf(count, "session");
}
