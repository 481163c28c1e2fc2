import process from "node:process";

/** The machine's monotonic clock in milliseconds, which all processes share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;
