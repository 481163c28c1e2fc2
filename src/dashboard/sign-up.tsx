import { Anchor, PasswordInput, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Link, useLocation } from "wouter";
import { useSessionClient } from "../client/react.ts";
import { FormCard, Notice, useSending } from "./form.tsx";

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
      <TextInput
        label="Email"
        type="email"
        autoComplete="username"
        required
        value={email}
        error={sending.issue("email")}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
      <TextInput
        label="Name"
        autoComplete="name"
        required
        value={name}
        error={sending.issue("name")}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <PasswordInput
        label="Password"
        description="At least 8 characters, of any kind."
        autoComplete="new-password"
        required
        value={password}
        error={sending.issue("password")}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <PasswordInput
        label="Password once more"
        autoComplete="new-password"
        required
        value={passwordConfirmation}
        error={sending.issue("passwordConfirmation")}
        onChange={(event) => setConfirmation(event.currentTarget.value)}
      />
    </FormCard>
  );
}
