import { enableCompileCache } from "node:module";
import { join } from "node:path";

// `npm start`. What Node makes of some 1 200 modules is kept for the next time, which takes a third off the start. Not in Node's
// own place for that, a folder for temporary files, where somebody else might put something. Where it cannot be written, nothing is kept.
enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/live-logout"));

// Everything else is to be loaded after that.
const { fail, runService } = await import("../main.ts");
runService().catch(fail);
