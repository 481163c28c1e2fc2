import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from "react";
import { useSession, useSessionClient } from "../client/react.ts";
import { createLogFollower, type FollowedEvent, type FollowedLog, type LogFollower } from "./follow-log.ts";

export type { FollowedEvent } from "./follow-log.ts";

/** Whoever asks anew after events does so at most this often: a mass logout brings thousands. Milliseconds. */
const LEAST_PAUSE_MS = 500;

const FollowerContext = createContext<LogFollower | undefined>(undefined);

/** Follows the log for everything below, for as long as somebody is signed in. */
export function LogProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const client = useSessionClient();
  const session = useSession();
  const follower = useMemo(() => createLogFollower(client), [client]);
  const sessionId = session.status === "signedIn" ? session.session.id : undefined;
  useEffect(() => (sessionId ? follower.start() : undefined), [follower, sessionId]);
  return <FollowerContext value={follower}>{children}</FollowerContext>;
}

function useFollower(): LogFollower {
  const follower = useContext(FollowerContext);
  if (!follower) throw new Error("Put a LogProvider around what follows the log.");
  return follower;
}

/** The newest part of the log, as it grows. */
export function useLog(): FollowedLog {
  const follower = useFollower();
  return useSyncExternalStore(follower.subscribe, follower.getSnapshot);
}

/** Calls back soon after events that concern somebody: at once after the first, then at most now and then. */
export function useOnEvents(concerns: (event: FollowedEvent) => boolean, callback: () => void): void {
  const follower = useFollower();
  const latest = useRef({ concerns, callback });
  useEffect(() => {
    latest.current = { concerns, callback };
  });
  useEffect(() => {
    let pause: ReturnType<typeof setTimeout> | undefined;
    let isDue = false;
    function call(): void {
      isDue = false;
      latest.current.callback();
      pause = setTimeout(() => {
        pause = undefined;
        if (isDue) call();
      }, LEAST_PAUSE_MS);
    }
    const stop = follower.onEvents((events) => {
      if (!events.some((event) => latest.current.concerns(event))) return;
      if (pause) isDue = true;
      else call();
    });
    return () => {
      stop();
      clearTimeout(pause);
    };
  }, [follower]);
}
