import { Anchor, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { ResetPasswordDocument } from "../../client/generated/graphql.ts";
import { useSessionClient } from "../../client/react.ts";
import { Field } from "../field.tsx";
import { FormCard, linkToken, Notice, useSending } from "../form.tsx";

export function ResetPassword(): ReactNode {
  const client = useSessionClient();
  const [newPassword, setNewPassword] = useState("");
  const [isDone, setDone] = useState(false);
  const sending = useSending(async () => {
    const { resetPassword } = await client.run(ResetPasswordDocument, {
      input: { token: linkToken, newPassword },
    });
    if (resetPassword.__typename !== "ResetPasswordSuccess") return resetPassword;
    setDone(true);
    return undefined;
  });
  if (isDone) {
    return (
      <Notice title="Your password is changed">
        <Text>You were logged out everywhere.</Text>
        <Anchor component={Link} href="/">
          Sign in with the new password
        </Anchor>
      </Notice>
    );
  }
  return (
    <FormCard title="Choose a new password" action="Change my password" sending={sending}>
      <Field
        kind="newPassword"
        label="New password"
        description="At least 8 characters, of any kind. You will be logged out everywhere."
        value={newPassword}
        onChange={setNewPassword}
        error={sending.issue("newPassword")}
      />
    </FormCard>
  );
}
