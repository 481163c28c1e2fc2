import { Anchor, Badge, Group, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "wouter";
import type { FollowedEvent } from "../log.tsx";
import { REASONS } from "../reasons.ts";
import { momentOf } from "../time.ts";

/** One event of the log, for people: when, whose, what, why and by whom. */
export function EventLine({
  event,
  isUserKnown = false,
}: {
  readonly event: FollowedEvent;
  /** Whether it is clear from what stands around whose session it is. */
  readonly isUserKnown?: boolean;
}): ReactNode {
  const { type, reason, user, actor, session } = event;
  const where = session ? ` · ${session.device}` : "";
  return (
    <Group component="li" data-event={event.id} gap="xs" py={6} align="baseline" wrap="nowrap">
      <Text size="xs" c="dimmed" component="time" dateTime={event.at} style={{ whiteSpace: "nowrap" }}>
        {momentOf(event.at)}
      </Text>
      <div style={{ minWidth: 0 }}>
        <Badge
          size="sm"
          variant="light"
          mr={8}
          color={reason ? REASONS[reason].color : type === "SESSION_CREATED" ? "indigo" : "gray"}
        >
          {reason ? REASONS[reason].label : type === "SESSION_CREATED" ? "Signed in" : "Changed"}
        </Badge>
        <Text span size="sm">
          {!isUserKnown && <UserLink user={user} />}
          <Text span size="sm" c="dimmed">
            {isUserKnown ? where.replace(" · ", "") : where}
            {actor && actor.id !== user.id && <> · by {actor.name}</>}
          </Text>
        </Text>
      </div>
    </Group>
  );
}

export function UserLink({
  user,
}: {
  readonly user: { readonly id: string; readonly name: string; readonly email: string };
}): ReactNode {
  // One who was deleted has no email and no page.
  if (!user.email) return <>{user.name}</>;
  return (
    <Anchor component={Link} href={`/users/${user.id}`} size="sm" title={user.email}>
      {user.name}
    </Anchor>
  );
}
