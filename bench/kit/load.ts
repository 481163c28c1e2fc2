// What ../peers/load.ts is asked for, and what it answers.

export interface Load {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  readonly method: "GET" | "POST";
  /** One after the other is used, so that not all requests are the same person's. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** Likewise. */
  readonly bodies?: readonly string[];
  /** No more than this in all. */
  readonly perSecond?: number;
  /** What each answer has to contain. */
  readonly sign: string;
}

export interface LoadResult {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}
