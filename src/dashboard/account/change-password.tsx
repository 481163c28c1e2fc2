import { Alert, Button, Checkbox, Modal, Stack } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useSessionClient } from "../../client/react.ts";
import { Field } from "../field.tsx";
import { useSending } from "../form.tsx";

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
          <Field
            isFirst
            kind="currentPassword"
            label="Current password"
            value={currentPassword}
            onChange={setCurrent}
            error={issue("currentPassword")}
          />
          <Field
            kind="newPassword"
            label="New password"
            description="At least 8 characters, of any kind."
            value={newPassword}
            onChange={setNew}
            error={issue("newPassword")}
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
