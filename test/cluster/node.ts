import process from "node:process";
import { fail, type NodeOptions, runService } from "../../src/main.ts";
import { MUTANTS, type Mutant } from "./mutants.ts";

// The service as main.ts runs it, except that it says which events it applies, and may be built wrongly on purpose.

const mutant = process.env["MUTANT"];
const options: NodeOptions = mutant ? MUTANTS[mutant as Mutant]() : {};
const { wrapDirectory = (directory) => directory } = options;

runService({
  ...options,
  wrapDirectory(plain) {
    const directory = wrapDirectory(plain);
    return {
      ...directory,
      apply(event) {
        process.stdout.write(`applied ${event.id}\n`);
        directory.apply(event);
      },
    };
  },
}).catch(fail);
