import process from "node:process";
import { readConfig } from "../src/config.ts";
import { startNode } from "../src/main.ts";
import { offer } from "./kit/offer.ts";

// The service as it is, in a process that can be asked for its memory and for how much of the log it has applied.

let applied = 0;
const node = await startNode(readConfig(process.env), {
  wrapDirectory: (directory) => ({
    ...directory,
    apply(event) {
      applied += 1;
      directory.apply(event);
    },
  }),
});
offer(node.url, { applied: () => applied });
