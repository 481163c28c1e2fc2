import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new empty folder of this machine's temporary ones. The caller removes it. */
export function temporaryFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `live-logout-${name}-`));
}

/**
 * Removes a folder with all that is in it. Tried again for a few seconds: on some file systems a folder is not
 * empty at once after its last file was deleted (ENOTEMPTY, seen once in CI), or a process that has just ended
 * still writes.
 */
export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
