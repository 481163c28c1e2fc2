import {
  Badge,
  Button,
  Group,
  Progress,
  Select,
  SimpleGrid,
  Stack,
  Table,
  TextInput,
  Title,
} from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { type ReactNode, useState } from "react";
import { type RevocationReason, SessionEventsDocument } from "../../client/generated/graphql.ts";
import { useSessionClient } from "../../client/react.ts";
import { countOfSessions } from "../counts.ts";
import { useLiveQuery } from "../data.tsx";
import { explain } from "../form.tsx";
import { REASON_OPTIONS, REASONS } from "../reasons.ts";
import { Empty, Found } from "../states.tsx";
import { momentOf, toMoment } from "../time.ts";
import { exportRevocations, MAX_ROWS } from "./csv.ts";
import { UserLink } from "./event-line.tsx";
import { PageControls, usePaging } from "./paging.tsx";
import { UserPicker } from "./user-picker.tsx";

const PAGE_SIZE = 25;

/** Who ended what, when and why. */
export function Audit(): ReactNode {
  const client = useSessionClient();
  const [reason, setReason] = useState<string | null>(null);
  const [userId, setUserId] = useState<string>();
  const [actorId, setActorId] = useState<string>();
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  /** From 0 to 1 while rows are fetched. */
  const [progress, setProgress] = useState<number>();
  const paging = usePaging();
  const filter = {
    type: "SESSION_REVOKED",
    reason: reason as RevocationReason | null,
    actorId: actorId ?? null,
    from: toMoment(from),
    until: toMoment(until),
  } as const;
  const query = useLiveQuery(
    SessionEventsDocument,
    { first: PAGE_SIZE, after: paging.after ?? null, userId: userId ?? null, filter },
    ({ type }) => type === "SESSION_REVOKED",
  );

  /** Another filter begins at its first page. */
  function change<T>(set: (value: T) => void): (value: T) => void {
    return (value) => {
      set(value);
      paging.first();
    };
  }

  async function save(): Promise<void> {
    setProgress(0);
    try {
      const { rows, total } = await exportRevocations(client, { userId, filter }, setProgress);
      if (rows < total) {
        const message = `The file has the newest ${rows.toLocaleString()} of ${total.toLocaleString()}. Choose a shorter time for the rest.`;
        notifications.show({ message, color: "yellow", autoClose: false });
      }
    } catch (error) {
      notifications.show({ message: explain(error), color: "red", autoClose: false });
    } finally {
      setProgress(undefined);
    }
  }

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={2} size="h3">
          Audit
        </Title>
        <Button
          size="xs"
          variant="default"
          loading={progress !== undefined}
          onClick={() => void save()}
          title={`As a table, up to ${MAX_ROWS.toLocaleString()} rows`}
        >
          Export CSV
        </Button>
      </Group>
      {progress !== undefined && <Progress value={progress * 100} aria-label="Fetching rows" />}
      <SimpleGrid cols={{ base: 1, xs: 2, md: 5 }} spacing="xs">
        <UserPicker label="Whose session" onChange={change(setUserId)} />
        <UserPicker label="Done by" onChange={change(setActorId)} />
        <Select
          label="Why"
          placeholder="Any"
          clearable
          value={reason}
          onChange={change(setReason)}
          data={REASON_OPTIONS}
        />
        <TextInput
          type="datetime-local"
          label="From"
          value={from}
          onChange={(event) => change(setFrom)(event.currentTarget.value)}
        />
        <TextInput
          type="datetime-local"
          label="Until"
          value={until}
          onChange={(event) => change(setUntil)(event.currentTarget.value)}
        />
      </SimpleGrid>
      <Found query={query} what="the log">
        {({ sessionEvents: { edges, pageInfo, totalCount } }) => (
          <>
            {edges.length === 0 ? (
              <Empty>No session that fits has ended.</Empty>
            ) : (
              <Table.ScrollContainer minWidth={640}>
                <Table aria-label="Sessions that ended">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>When</Table.Th>
                      <Table.Th>Whose</Table.Th>
                      <Table.Th>Why</Table.Th>
                      <Table.Th>Done by</Table.Th>
                      <Table.Th>Device</Table.Th>
                      <Table.Th>Address</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {edges.map(({ node }) => (
                      <Table.Tr key={node.id}>
                        <Table.Td style={{ whiteSpace: "nowrap" }}>{momentOf(node.at)}</Table.Td>
                        <Table.Td>
                          <UserLink user={node.user} />
                        </Table.Td>
                        <Table.Td>
                          {node.reason && (
                            <Badge variant="light" miw="max-content" color={REASONS[node.reason].color}>
                              {REASONS[node.reason].label}
                            </Badge>
                          )}
                        </Table.Td>
                        <Table.Td>{node.actor ? <UserLink user={node.actor} /> : "The system"}</Table.Td>
                        <Table.Td>{node.session?.device ?? "Deleted"}</Table.Td>
                        <Table.Td>{node.session?.ipAddress}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
            )}
            <PageControls paging={paging} total={`${countOfSessions(totalCount)} ended`} {...pageInfo} />
          </>
        )}
      </Found>
    </Stack>
  );
}
