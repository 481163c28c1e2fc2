import { Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { ReportSessionDocument } from "../../client/generated/graphql.ts";
import { useSessionClient } from "../../client/react.ts";
import { FormCard, linkToken, Notice, useSending } from "../form.tsx";

/** "This wasn't me". Nothing happens before the button: mail programs open links to look at them. */
export function ReportSession(): ReactNode {
  const client = useSessionClient();
  const [isDone, setDone] = useState(false);
  const sending = useSending(async () => {
    const { reportSession } = await client.run(ReportSessionDocument, { token: linkToken });
    if (reportSession.__typename !== "RevokeSessionSuccess") {
      return { message: "This link is not good any more. If it was used, that session has ended." };
    }
    setDone(true);
    return undefined;
  });
  if (isDone) {
    return (
      <Notice title="That session has ended">
        <Text>
          Whoever it was knew your password. A mail with a link to choose a new one is on its way to you.
        </Text>
      </Notice>
    );
  }
  return (
    <FormCard title="This wasn't you?" action="End that session now" sending={sending}>
      <Text>
        The session that the mail told of ends at once, and you get a mail to choose a new password.
      </Text>
    </FormCard>
  );
}
