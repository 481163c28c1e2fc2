import { Alert, Button, Modal, Stack, Text } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";
import { RefusedError } from "../client/core.ts";
import { useSessionClient } from "../client/react.ts";
import { Field } from "./field.tsx";

/** Does what may need a recent proof of the password, and asks for that if it does. */
export function useReauthentication() {
  const [waiting, setWaiting] = useState<{ readonly retry: () => void }>();
  async function attempt(run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof RefusedError) || error.extensions["reason"] !== "REAUTHENTICATE") throw error;
      await new Promise<void>((resolve) => setWaiting({ retry: resolve }));
      setWaiting(undefined);
      await run();
    }
  }
  return { attempt, waiting, giveUp: () => setWaiting(undefined) };
}

export function Reauthenticate({
  proof,
}: {
  readonly proof: ReturnType<typeof useReauthentication>;
}): ReactNode {
  const client = useSessionClient();
  const [password, setPassword] = useState("");
  const [message, setMessage] = useState<string>();
  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    const result = await client.reauthenticate(password);
    if (result.__typename !== "ReauthenticateSuccess") return setMessage(result.message);
    setPassword("");
    setMessage(undefined);
    proof.waiting?.retry();
  }
  return (
    <Modal opened={proof.waiting !== undefined} onClose={proof.giveUp} title="Is it you?" centered>
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <Text>You signed in a while ago. Enter your password once more.</Text>
          <Field isFirst kind="currentPassword" label="Password" value={password} onChange={setPassword} />
          {message && (
            <Alert color="red" role="alert">
              {message}
            </Alert>
          )}
          <Button type="submit">Go on</Button>
        </Stack>
      </form>
    </Modal>
  );
}
