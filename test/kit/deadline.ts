/** Waits for something that must happen; fails with its name if it does not, instead of hanging. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, overdue]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is yes; fails with the question's name after a deadline. */
export async function eventually(what: string, ask: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((next) => setImmediate(next));
  }
}
