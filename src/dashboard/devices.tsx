import { Badge, Button, Card, Group, Modal, Skeleton, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { FollowSessionEventsDocument, type MySessionsQuery } from "../client/generated/graphql.ts";
import { useSession, useSessionClient } from "../client/react.ts";
import { ChangePassword } from "./change-password.tsx";
import { Reauthenticate, useReauthentication } from "./reauthenticate.tsx";
import { timeOf } from "./time.ts";

type Device = MySessionsQuery["mySessions"][number];

/** Something that ends sessions, and is confirmed first. */
interface Ending {
  readonly title: string;
  readonly what: string;
  readonly run: () => Promise<unknown>;
}

/** The viewer's sessions, as they come and go. */
export function Devices(): ReactNode {
  const client = useSessionClient();
  const { devices, reload } = useDevices();
  const [ending, setEnding] = useState<Ending>();
  const [isChangingPassword, setChangingPassword] = useState(false);
  const proof = useReauthentication();
  const others = devices?.filter(({ current }) => !current) ?? [];

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
              setEnding({
                title: "Log out all other devices?",
                what: `This ends ${count(others.length)} now. This device stays signed in.`,
                run: () => client.revokeAll({ exceptCurrent: true }),
              })
            }
          >
            Log out all others
          </Button>
        </Group>
      </Group>
      {devices ? (
        <Stack component="ul" p={0} m={0} gap="sm" style={{ listStyle: "none" }} aria-live="polite">
          {devices.map((device) => (
            <DeviceCard
              key={device.id}
              device={device}
              onEnd={() =>
                setEnding({
                  title: `Log out ${device.device}?`,
                  what: "This ends that session now.",
                  run: () => client.revoke(device.id),
                })
              }
            />
          ))}
        </Stack>
      ) : (
        <Skeleton height={120} aria-label="Loading your devices" />
      )}
      <Modal
        opened={ending !== undefined}
        onClose={() => setEnding(undefined)}
        title={ending?.title}
        centered
      >
        <Stack>
          <Text>{ending?.what}</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setEnding(undefined)}>
              Cancel
            </Button>
            <Button
              color="red"
              onClick={() => {
                const run = ending?.run;
                setEnding(undefined);
                if (run) void proof.attempt(run).then(reload);
              }}
            >
              Log out
            </Button>
          </Group>
        </Stack>
      </Modal>
      <ChangePassword opened={isChangingPassword} onClose={() => setChangingPassword(false)} />
      <Reauthenticate proof={proof} />
    </Stack>
  );
}

function DeviceCard({ device, onEnd }: { readonly device: Device; readonly onEnd: () => void }): ReactNode {
  return (
    <Card component="li" withBorder padding="md">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Text fw={600}>{device.device}</Text>
            {device.current && <Badge>This device</Badge>}
            <Badge variant="dot" color={device.online ? "green" : "gray"}>
              {device.online ? "Connected" : "Not connected"}
            </Badge>
          </Group>
          <Text size="sm" c="dimmed">
            {device.ipAddress ?? "Unknown address"} · signed in {timeOf(device.createdAt)} · last used{" "}
            {timeOf(device.lastSeenAt)}
          </Text>
        </div>
        {!device.current && (
          <Button
            style={{ flexShrink: 0 }}
            size="xs"
            color="red"
            variant="subtle"
            onClick={onEnd}
            aria-label={`Log out ${device.device}`}
          >
            Log out
          </Button>
        )}
      </Group>
    </Card>
  );
}

/** The sessions now, and again after each event of the user's own. */
function useDevices() {
  const client = useSessionClient();
  const session = useSession();
  const [devices, setDevices] = useState<readonly Device[]>();
  const sessionId = session.status === "signedIn" ? session.session.id : undefined;
  const reload = useCallback(async () => {
    // Whoever is signed out meanwhile sees another page.
    await client.sessions().then(setDevices, () => {});
  }, [client]);
  useEffect(() => {
    if (!sessionId) return undefined;
    void reload();
    return client.subscribeOperation(
      { query: String(FollowSessionEventsDocument) },
      { next: () => void reload(), error: () => {}, complete: () => {} },
    );
  }, [client, reload, sessionId]);
  return { devices, reload };
}

function count(sessions: number): string {
  return sessions === 1 ? "1 session" : `${sessions} sessions`;
}
