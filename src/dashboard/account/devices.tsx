import { Button, Group, Stack, Title } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { RefusedError } from "../../client/core.ts";
import { MySessionsDocument } from "../../client/generated/graphql.ts";
import { useSession, useSessionClient } from "../../client/react.ts";
import { useActions } from "../actions.tsx";
import { countOfSessions } from "../counts.ts";
import { useLiveQuery } from "../data.tsx";
import { SessionCard } from "../session-card.tsx";
import { Found } from "../states.tsx";
import { ChangePassword } from "./change-password.tsx";

/** The viewer's sessions, as they come and go. */
export function Devices(): ReactNode {
  const client = useSessionClient();
  const session = useSession();
  const { confirm } = useActions();
  const [isChangingPassword, setChangingPassword] = useState(false);
  const userId = session.status === "signedIn" ? session.user.id : undefined;
  const query = useLiveQuery(MySessionsDocument, {}, ({ user }) => user.id === userId);
  const others = query.data?.mySessions.filter(({ current }) => !current) ?? [];

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={2} size="h3">
          Your devices
        </Title>
        <Group gap="xs">
          <Button size="xs" variant="default" onClick={() => setChangingPassword(true)}>
            Change password
          </Button>
          <Button
            size="xs"
            color="red"
            variant="light"
            disabled={others.length === 0}
            onClick={() =>
              confirm({
                title: "Log out all other devices?",
                what: `This ends ${countOfSessions(others.length)} now. This device stays signed in.`,
                verb: "Log out",
                async run() {
                  const result = await client.revokeAll({ exceptCurrent: true });
                  if (result.__typename !== "RevokeAllSessionsSuccess")
                    throw new RefusedError(result.message, {});
                  return `${countOfSessions(result.revokedCount)} ended.`;
                },
              })
            }
          >
            Log out all others
          </Button>
        </Group>
      </Group>
      <Found query={query} what="your devices">
        {({ mySessions }) => (
          <Stack component="ul" p={0} m={0} gap="sm" style={{ listStyle: "none" }} aria-live="polite">
            {mySessions.map((device) => (
              <SessionCard
                key={device.id}
                session={device}
                onEnd={
                  device.current
                    ? undefined
                    : () =>
                        confirm({
                          title: `Log out ${device.device}?`,
                          what: "This ends that session now.",
                          verb: "Log out",
                          async run() {
                            await client.revoke(device.id);
                            return `${device.device} is logged out.`;
                          },
                        })
                }
              />
            ))}
          </Stack>
        )}
      </Found>
      <ChangePassword opened={isChangingPassword} onClose={() => setChangingPassword(false)} />
    </Stack>
  );
}
