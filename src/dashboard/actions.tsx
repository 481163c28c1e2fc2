import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import { RefusedError } from "../client/core.ts";
import { explain } from "./form.tsx";
import { Reauthenticate } from "./reauthenticate.tsx";

/** Something that changes or ends what others hold, and is confirmed first. */
interface Action {
  readonly title: string;
  /** What will happen: "Ends 3 sessions of this user, now." */
  readonly what: string;
  /** On the button: "Log out". */
  readonly verb: string;
  /** Does it, and says what was done. Throws `RefusedError` and `UnavailableError`. */
  readonly run: () => Promise<string>;
}

interface Actions {
  /** Asks, does it, and says how it went. A password that was given long ago is asked for again. */
  readonly confirm: (action: Action) => void;
}

const ActionsContext = createContext<Actions | undefined>(undefined);

export function useActions(): Actions {
  const actions = useContext(ActionsContext);
  if (!actions) throw new Error("Put an ActionsProvider around what asks before it acts.");
  return actions;
}

export function ActionsProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [action, setAction] = useState<Action>();
  const [isAsking, setAsking] = useState(false);
  const [isProving, setProving] = useState(false);
  const actions = useMemo<Actions>(
    () => ({
      confirm(asked) {
        setAction(asked);
        setAsking(true);
      },
    }),
    [],
  );

  async function run(confirmed: Action): Promise<void> {
    setAsking(false);
    setProving(false);
    try {
      notifications.show({ message: await confirmed.run(), color: "green" });
    } catch (error) {
      if (error instanceof RefusedError && error.extensions["reason"] === "REAUTHENTICATE") setProving(true);
      else notifications.show({ message: explain(error), color: "red", autoClose: false });
    }
  }

  return (
    <ActionsContext value={actions}>
      {children}
      <Modal opened={isAsking} onClose={() => setAsking(false)} title={action?.title} centered>
        <Stack>
          <Text>{action?.what}</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setAsking(false)}>
              Cancel
            </Button>
            <Button color="red.9" onClick={() => action && void run(action)}>
              {action?.verb}
            </Button>
          </Group>
        </Stack>
      </Modal>
      <Reauthenticate
        opened={isProving}
        onGivenUp={() => setProving(false)}
        onProven={() => action && void run(action)}
      />
    </ActionsContext>
  );
}
