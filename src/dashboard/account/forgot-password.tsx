import { Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { RequestPasswordResetDocument } from "../../client/generated/graphql.ts";
import { useSessionClient } from "../../client/react.ts";
import { Field } from "../field.tsx";
import { FormCard, Notice, useSending } from "../form.tsx";

export function ForgotPassword(): ReactNode {
  const client = useSessionClient();
  const [email, setEmail] = useState("");
  const [isSent, setSent] = useState(false);
  const sending = useSending(async () => {
    await client.run(RequestPasswordResetDocument, { email });
    setSent(true);
    return undefined;
  });
  if (isSent) {
    return (
      <Notice title="Look into your mailbox">
        <Text>
          If somebody has an account with {email}, a mail with a link is on its way. It is good for 30
          minutes.
        </Text>
      </Notice>
    );
  }
  return (
    <FormCard title="Forgot your password?" action="Send me a link" sending={sending}>
      <Field kind="email" label="Email" value={email} onChange={setEmail} />
    </FormCard>
  );
}
