import { Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import { useSessionClient } from "../../client/react.ts";
import { Field } from "../field.tsx";
import { FormCard, linkToken, useSending } from "../form.tsx";

export function ConfirmSignUp(): ReactNode {
  const client = useSessionClient();
  const [, goTo] = useLocation();
  const [password, setPassword] = useState("");
  const sending = useSending(async () => {
    const result = await client.confirmSignUp({ token: linkToken, password });
    if (result.__typename !== "LoginSuccess") return result;
    goTo("/");
    return undefined;
  });
  return (
    <FormCard title="Finish signing up" action="Finish" sending={sending}>
      <Text>Enter the password that you chose when you signed up.</Text>
      <Field kind="currentPassword" label="Password" value={password} onChange={setPassword} />
    </FormCard>
  );
}
