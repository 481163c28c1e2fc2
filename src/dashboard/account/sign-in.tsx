import { Alert, Anchor, Checkbox, Group, Stack } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { useSession, useSessionClient } from "../../client/react.ts";
import { Field } from "../field.tsx";
import { FormCard, useSending } from "../form.tsx";
import { timeOf } from "../time.ts";

/** Signing in, with the reason if one was just signed out. */
export function SignIn(): ReactNode {
  const client = useSessionClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [remember, setRemember] = useState(false);
  const sending = useSending(async () => {
    const result = await client.login({ email, password, remember });
    return result.__typename === "LoginSuccess" ? undefined : result;
  });
  return (
    <Stack>
      <WhySignedOut />
      <FormCard
        title="Sign in"
        action="Sign in"
        sending={sending}
        footer={
          <Group justify="space-between">
            <Anchor component={Link} href="/forgot-password" size="sm">
              Forgot your password?
            </Anchor>
            <Anchor component={Link} href="/sign-up" size="sm">
              Sign up
            </Anchor>
          </Group>
        }
      >
        <Field kind="email" label="Email" value={email} onChange={setEmail} />
        <Field kind="currentPassword" label="Password" value={password} onChange={setPassword} />
        <Checkbox
          label="Remember me on this device"
          checked={remember}
          onChange={(event) => setRemember(event.currentTarget.checked)}
        />
      </FormCard>
    </Stack>
  );
}

function WhySignedOut(): ReactNode {
  const session = useSession();
  const cause = session.status === "signedOut" ? session.cause : undefined;
  return (
    <div aria-live="assertive">
      {cause && (
        <Alert color="orange" maw={440} mx="auto" title={cause.message}>
          {cause.revokedAt ? timeOf(cause.revokedAt) : undefined}
        </Alert>
      )}
    </div>
  );
}
