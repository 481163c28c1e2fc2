import { Badge, Button, Card, Group, Text } from "@mantine/core";
import type { ReactNode } from "react";
import type { SessionPartsFragment } from "../client/generated/graphql.ts";
import { timeOf } from "./time.ts";

/** A session, and what ends it if it may be ended here. */
export function SessionCard({
  session,
  onEnd,
}: {
  readonly session: SessionPartsFragment;
  readonly onEnd: (() => void) | undefined;
}): ReactNode {
  return (
    <Card component="li" withBorder padding="md">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Text fw={600}>{session.device}</Text>
            {session.current && <Badge>This device</Badge>}
            <Badge variant="dot" color={session.online ? "green" : "gray"}>
              {session.online ? "Connected" : "Not connected"}
            </Badge>
          </Group>
          <Text size="sm" c="dimmed">
            {session.ipAddress ?? "Unknown address"} · signed in {timeOf(session.createdAt)} · last used{" "}
            {timeOf(session.lastSeenAt)}
          </Text>
        </div>
        {onEnd && (
          <Button
            style={{ flexShrink: 0 }}
            size="xs"
            color="red"
            variant="light"
            onClick={onEnd}
            aria-label={`Log out ${session.device}`}
          >
            Log out
          </Button>
        )}
      </Group>
    </Card>
  );
}
