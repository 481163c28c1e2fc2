import { Alert, Button, Modal, Stack, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useSessionClient } from "../client/react.ts";
import { Field } from "./field.tsx";
import { useSending } from "./form.tsx";

/** Asks for the password again. */
export function Reauthenticate({
  opened,
  onProven,
  onGivenUp,
}: {
  readonly opened: boolean;
  readonly onProven: () => void;
  readonly onGivenUp: () => void;
}): ReactNode {
  const client = useSessionClient();
  const [password, setPassword] = useState("");
  const { submit, isSending, problem } = useSending(async () => {
    const result = await client.reauthenticate(password);
    if (result.__typename !== "ReauthenticateSuccess") return result;
    setPassword("");
    onProven();
    return undefined;
  });
  return (
    <Modal opened={opened} onClose={onGivenUp} title="Is it you?" centered>
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <Text>You signed in a while ago. Enter your password once more.</Text>
          <Field isFirst kind="currentPassword" label="Password" value={password} onChange={setPassword} />
          {problem && (
            <Alert color="red" role="alert">
              {problem.message}
            </Alert>
          )}
          <Button type="submit" loading={isSending}>
            Go on
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
