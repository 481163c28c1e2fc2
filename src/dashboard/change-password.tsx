import { Alert, Button, Checkbox, Modal, PasswordInput, Stack } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useSessionClient } from "../client/react.ts";
import { useSending } from "./form.tsx";

export function ChangePassword({
  opened,
  onClose,
}: {
  readonly opened: boolean;
  readonly onClose: () => void;
}): ReactNode {
  const client = useSessionClient();
  const [currentPassword, setCurrent] = useState("");
  const [newPassword, setNew] = useState("");
  const [resetSessions, setResetSessions] = useState(true);
  const { submit, isSending, problem, issue } = useSending(async () => {
    const result = await client.changePassword({ currentPassword, newPassword, resetSessions });
    if (result.__typename !== "ChangePasswordSuccess") return result;
    setCurrent("");
    setNew("");
    onClose();
    return undefined;
  });
  return (
    <Modal opened={opened} onClose={onClose} title="Change your password" centered>
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <PasswordInput
            label="Current password"
            autoComplete="current-password"
            required
            value={currentPassword}
            error={issue("currentPassword")}
            onChange={(event) => setCurrent(event.currentTarget.value)}
          />
          <PasswordInput
            label="New password"
            description="At least 8 characters, of any kind."
            autoComplete="new-password"
            required
            value={newPassword}
            error={issue("newPassword")}
            onChange={(event) => setNew(event.currentTarget.value)}
          />
          <Checkbox
            label="Log out all other devices"
            checked={resetSessions}
            onChange={(event) => setResetSessions(event.currentTarget.checked)}
          />
          {problem && !problem.issues && (
            <Alert color="red" role="alert">
              {problem.message}
            </Alert>
          )}
          <Button type="submit" loading={isSending}>
            Change password
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
