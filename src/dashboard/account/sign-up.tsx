import { Anchor, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Link, useLocation } from "wouter";
import { useSessionClient } from "../../client/react.ts";
import { Field } from "../field.tsx";
import { FormCard, Notice, useSending } from "../form.tsx";

export function SignUp(): ReactNode {
  const client = useSessionClient();
  const [, goTo] = useLocation();
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [passwordConfirmation, setConfirmation] = useState("");
  const [mailedTo, setMailedTo] = useState<string>();
  const sending = useSending(async () => {
    const result = await client.signUp({ email, name, password, passwordConfirmation });
    if (result.__typename === "SignUpRequested") setMailedTo(result.email);
    else if (result.__typename === "LoginSuccess") goTo("/");
    else return result;
    return undefined;
  });
  if (mailedTo) {
    return (
      <Notice title="Look into your mailbox">
        <Text>A mail to {mailedTo} says how to go on.</Text>
      </Notice>
    );
  }
  return (
    <FormCard
      title="Sign up"
      action="Sign up"
      sending={sending}
      footer={
        <Anchor component={Link} href="/" size="sm">
          I have an account
        </Anchor>
      }
    >
      <Field kind="email" label="Email" value={email} onChange={setEmail} error={sending.issue("email")} />
      <Field kind="name" label="Name" value={name} onChange={setName} error={sending.issue("name")} />
      <Field
        kind="newPassword"
        label="Password"
        description="At least 8 characters, of any kind."
        value={password}
        onChange={setPassword}
        error={sending.issue("password")}
      />
      <Field
        kind="newPassword"
        label="Password once more"
        value={passwordConfirmation}
        onChange={setConfirmation}
        error={sending.issue("passwordConfirmation")}
      />
    </FormCard>
  );
}
