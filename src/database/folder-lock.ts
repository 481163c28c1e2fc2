import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { tryLock, unlock } from "fs-native-extensions";
import { OperatorError } from "../operator-error.ts";

export interface FolderLock {
  release(): Promise<void>;
}

/** Beyond any content: where Windows locks are mandatory, the other process can still read who holds it. */
const LOCKED_BYTE = 1_048_576;

/**
 * Takes the folder for this process. It is the operating system's lock on an open file, so it ends with the
 * process however that dies, and a paused process keeps it. (A lock that is a file with a time in it does
 * neither.) Throws {@link OperatorError} naming the folder and the process that holds it.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, "lock");
  let file: FileHandle;
  try {
    file = await open(path, "a+", 0o600);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperatorError(
      `Cannot keep data in ${folder}: ${reason}. Set DATA_DIR to a folder you can write.`,
    );
  }
  if (!tryLock(file.fd, LOCKED_BYTE, 1)) {
    const holder = (await file.readFile("utf8")).trim() || "unknown";
    await file.close();
    throw new OperatorError(
      `The folder ${folder} is in use by process ${holder}. ` +
        "Stop that process, or set DATA_DIR to another folder, or DATABASE_URL to share a PostgreSQL.",
    );
  }
  await file.truncate(0);
  await file.write(String(process.pid));
  return {
    async release() {
      unlock(file.fd, LOCKED_BYTE, 1);
      await file.close();
    },
  };
}
