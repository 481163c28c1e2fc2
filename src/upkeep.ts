import { setTimeout as pause } from "node:timers/promises";

/**
 * Does something again and again, with a pause in between that differs, so that nodes that started together do not
 * all do it at once. Gives back what stops it: `work` is told by the signal, and waited for.
 */
export function repeat(
  intervalMs: number,
  work: (stopping: AbortSignal) => Promise<unknown>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const finished = (async () => {
    while (!signal.aborted) {
      await pause(intervalMs * (0.75 + Math.random() / 4), undefined, { signal }).catch(() => {});
      if (!signal.aborted) await work(signal).catch(onError);
    }
  })();
  return () => {
    stopping.abort();
    return finished;
  };
}
