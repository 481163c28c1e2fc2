import { CLOSE, type Connection, INIT_TIMEOUT_MS } from "./connection.ts";

/** Every client is pinged in this time, a group of them at each pulse; it has as long to answer. */
const KEEP_ALIVE_MS = 12_000;
const PULSE_MS = 500;

/** What every connection needs done from time to time, by one timer for all of them. */
interface Pulse {
  readonly add: (connection: Connection) => void;
  readonly forget: (connection: Connection) => void;
}

export function createPulse(): Pulse {
  const groups = Array.from({ length: KEEP_ALIVE_MS / PULSE_MS }, () => new Set<Connection>());
  /** Those that have not said `connection_init` yet, in the order in which they came. */
  const silent = new Set<Connection>();
  let count = 0;
  let turn = 0;
  let timer: NodeJS.Timeout | undefined;

  function beat(): void {
    for (const connection of groups[turn] ?? []) connection.ping();
    turn = (turn + 1) % groups.length;
    const now = performance.now();
    for (const connection of silent) {
      if (!connection.isSilent) silent.delete(connection);
      else if (now - connection.openedAt < INIT_TIMEOUT_MS) break;
      else connection.close(...CLOSE.initTimeout);
    }
  }

  return {
    add(connection) {
      // Of all groups it is the longest until this one's turn.
      connection.pulseGroup = groups[(turn + groups.length - 1) % groups.length]?.add(connection);
      silent.add(connection);
      count += 1;
      timer ??= setInterval(beat, PULSE_MS);
    },
    forget(connection) {
      silent.delete(connection);
      connection.pulseGroup?.delete(connection);
      count -= 1;
      if (count > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}
