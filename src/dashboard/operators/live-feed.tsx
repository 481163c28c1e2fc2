import { Badge, Button, Card, Group, ScrollArea, Select, Stack, TextInput, Title } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useConnected } from "../../client/react.ts";
import { type FollowedEvent, useLog } from "../log.tsx";
import { REASON_OPTIONS } from "../reasons.ts";
import { Empty, Waiting } from "../states.tsx";
import { EventLine } from "./event-line.tsx";

/** More than anybody reads; the audit page has the rest. */
const SHOWN = 100;

/** The log as it grows, newest first; it can be paused and filtered. */
export function LiveFeed(): ReactNode {
  const log = useLog();
  const isConnected = useConnected();
  const [paused, setPaused] = useState<typeof log>();
  const [who, setWho] = useState("");
  const [actor, setActor] = useState("");
  const [what, setWhat] = useState<string | null>(null);
  const { events, arrived } = paused ?? log;
  const shown = events
    ?.filter(
      (event) => isOf(event.user, who) && (!actor || (event.actor !== null && isOf(event.actor, actor))),
    )
    .filter(({ type, reason }) => !what || what === reason || what === type)
    .slice(0, SHOWN);

  return (
    <Card withBorder padding="md" component="section" aria-labelledby="live-feed">
      <Stack gap="sm">
        <Group justify="space-between">
          <Group gap="xs">
            <Title order={3} size="h5" id="live-feed">
              What happens
            </Title>
            <Badge variant="dot" color={paused ? "yellow" : isConnected ? "green" : "gray"}>
              {paused ? `Paused, ${log.arrived - arrived} new` : isConnected ? "Live" : "Connecting"}
            </Badge>
          </Group>
          <Button size="xs" variant="default" onClick={() => setPaused(paused ? undefined : log)}>
            {paused ? "Go on" : "Pause"}
          </Button>
        </Group>
        <Group gap="xs">
          <TextInput
            size="xs"
            aria-label="Whose session"
            placeholder="Whose session"
            value={who}
            onChange={(event) => setWho(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            aria-label="Done by"
            placeholder="Done by"
            value={actor}
            onChange={(event) => setActor(event.currentTarget.value)}
          />
          <Select
            size="xs"
            aria-label="What happened"
            placeholder="Everything"
            clearable
            value={what}
            onChange={setWhat}
            data={[{ value: "SESSION_CREATED", label: "Signed in" }, ...REASON_OPTIONS]}
          />
        </Group>
        {shown === undefined && <Waiting what="what happened" />}
        {shown?.length === 0 && <Empty>Nothing that fits has happened yet. It will appear here.</Empty>}
        <ScrollArea.Autosize mah={480} type="auto">
          <ul aria-label="Events, the newest first" style={{ margin: 0, padding: 0, listStyle: "none" }}>
            {shown?.map((event) => (
              <EventLine key={event.id} event={event} />
            ))}
          </ul>
        </ScrollArea.Autosize>
      </Stack>
    </Card>
  );
}

/** Whether the text is part of the name or the email. */
function isOf(user: FollowedEvent["user"], text: string): boolean {
  return `${user.name}\n${user.email}`.toLowerCase().includes(text.trim().toLowerCase());
}
