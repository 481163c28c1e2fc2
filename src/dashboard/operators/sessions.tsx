import {
  Button,
  Group,
  Progress,
  Select,
  SimpleGrid,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { type ReactNode, useEffect, useState } from "react";
import { gql, useClient } from "urql";
import { RefusedError } from "../../client/core.ts";
import {
  RevokeSessionsDocument,
  type RevokeSessionsMutation,
  type Role,
  RolesDocument,
  type SessionFilter,
  SessionsDocument,
} from "../../client/generated/graphql.ts";
import { useSessionClient } from "../../client/react.ts";
import { useActions } from "../actions.tsx";
import { countOfSessions } from "../counts.ts";
import { useLiveQuery } from "../data.tsx";
import { explain } from "../form.tsx";
import { Empty, Found } from "../states.tsx";
import { momentOf, toMoment } from "../time.ts";
import { useCapabilities } from "./capabilities.tsx";
import { UserLink } from "./event-line.tsx";
import { PageControls, usePaging } from "./paging.tsx";
import { UserPicker } from "./user-picker.tsx";

const PAGE_SIZE = 25;
const TYPING_MS = 250;
const PROGRESS_INTERVAL_MS = 500;

const IDLE_FOR = {
  "1 hour": 3_600_000,
  "1 day": 86_400_000,
  "7 days": 604_800_000,
  "30 days": 2_592_000_000,
} as const;

/** Everybody's sessions, and ending all of those that fit. */
export function Sessions(): ReactNode {
  const capabilities = useCapabilities();
  const [role, setRole] = useState<string | null>(null);
  const [userId, setUserId] = useState<string>();
  const [address, setAddress] = useState("");
  const [begunBefore, setBegunBefore] = useState("");
  const [lastSeenBefore, setLastSeenBefore] = useState<{ readonly idleFor: string; readonly at: string }>();
  const [ipAddress] = useDebouncedValue(address.trim(), TYPING_MS);
  const paging = usePaging();
  const roles = useLiveQuery(RolesDocument, {}, () => false);
  const filter: SessionFilter = {
    role: role as Role | null,
    userId: userId ?? null,
    ipAddress: ipAddress || null,
    createdBefore: toMoment(begunBefore),
    lastSeenBefore: lastSeenBefore?.at ?? null,
  };
  const query = useLiveQuery(
    SessionsDocument,
    { first: PAGE_SIZE, after: paging.after ?? null, filter },
    () => true,
  );

  function change<T>(set: (value: T) => void): (value: T) => void {
    return (value) => {
      set(value);
      paging.first();
    };
  }

  return (
    <Stack>
      <Title order={2} size="h3">
        Sessions
      </Title>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 5 }} spacing="xs">
        <UserPicker label="Whose session" onChange={change(setUserId)} />
        <Select
          label="Role"
          placeholder="Any"
          clearable
          value={role}
          onChange={change(setRole)}
          data={[...(roles.data?.roles ?? [])]}
        />
        <TextInput
          label="Address"
          placeholder="Any"
          value={address}
          onChange={(event) => change(setAddress)(event.currentTarget.value)}
        />
        <Select
          label="Not used for"
          placeholder="Any"
          clearable
          value={lastSeenBefore?.idleFor ?? null}
          data={Object.keys(IDLE_FOR)}
          onChange={change((idleFor: string | null) =>
            setLastSeenBefore(
              idleFor === null
                ? undefined
                : {
                    idleFor,
                    at: new Date(Date.now() - IDLE_FOR[idleFor as keyof typeof IDLE_FOR]).toISOString(),
                  },
            ),
          )}
        />
        <TextInput
          type="datetime-local"
          label="Signed in before"
          value={begunBefore}
          onChange={(event) => change(setBegunBefore)(event.currentTarget.value)}
        />
      </SimpleGrid>
      {capabilities.includes("END_SESSIONS_BY_POLICY") && <EndAll filter={filter} onEnded={query.refresh} />}
      <Found query={query} what="the sessions">
        {({ sessions: { edges, pageInfo, totalCount } }) => (
          <>
            {edges.length === 0 ? (
              <Empty>No session fits. Choose less, or another role, address or time.</Empty>
            ) : (
              <Table.ScrollContainer minWidth={640}>
                <Table aria-label="Sessions">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Whose</Table.Th>
                      <Table.Th>Device</Table.Th>
                      <Table.Th>Address</Table.Th>
                      <Table.Th>Signed in</Table.Th>
                      <Table.Th>Last used</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {edges.map(({ node }) => (
                      <Table.Tr key={node.id}>
                        <Table.Td>
                          <UserLink user={node.user} />
                        </Table.Td>
                        <Table.Td>{node.current ? `${node.device} (this device)` : node.device}</Table.Td>
                        <Table.Td>{node.ipAddress}</Table.Td>
                        <Table.Td>{momentOf(node.createdAt)}</Table.Td>
                        <Table.Td>{momentOf(node.lastSeenAt)}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
            )}
            <PageControls paging={paging} total={countOfSessions(totalCount)} {...pageInfo} />
          </>
        )}
      </Found>
    </Stack>
  );
}

/** Counts what fits, asks, and ends it, saying how far it is. */
function EndAll({
  filter,
  onEnded,
}: {
  readonly filter: SessionFilter;
  readonly onEnded: () => void;
}): ReactNode {
  const client = useSessionClient();
  const data = useClient();
  const { confirm } = useActions();
  const [isCounting, setCounting] = useState(false);
  /** While sessions are ended: how many, and which. */
  const [running, setRunning] = useState<{ readonly total: number; readonly filter: SessionFilter }>();
  const [left, setLeft] = useState(0);

  async function count(which: SessionFilter): Promise<number> {
    const { revokeSessions } = await client.run(RevokeSessionsDocument, { filter: which, dryRun: true });
    if (revokeSessions.__typename !== "RevokeAllSessionsSuccess")
      throw new RefusedError(revokeSessions.message, {});
    return revokeSessions.revokedCount;
  }

  // How far it is, is what the database says is left.
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => {
      count(running.filter).then(setLeft, () => {});
    }, PROGRESS_INTERVAL_MS);
    return () => clearInterval(timer);
  });

  async function ask(): Promise<void> {
    setCounting(true);
    try {
      const total = await count(filter);
      const isEverybody = Object.values(filter).every((value) => value == null);
      confirm({
        title: isEverybody ? "Log out everyone?" : `Log out ${countOfSessions(total)}?`,
        what: `Ends ${countOfSessions(total)}${isEverybody ? " of everybody" : ""}, now. The one that you use is spared.`,
        verb: "Log out",
        run: () => end(total),
      });
    } catch (error) {
      notifications.show({ message: explain(error), color: "red", autoClose: false });
    } finally {
      setCounting(false);
    }
  }

  async function end(total: number): Promise<string> {
    setLeft(total);
    setRunning({ total, filter });
    try {
      // Not by the session client, which does not wait as long as a million sessions take.
      const { data: answer, error } = await data.mutation<RevokeSessionsMutation>(
        gql(String(RevokeSessionsDocument)),
        { filter },
      );
      const refused = error?.graphQLErrors[0];
      if (refused) throw new RefusedError(refused.message, refused.extensions ?? {});
      if (error || answer?.revokeSessions.__typename !== "RevokeAllSessionsSuccess") {
        throw new RefusedError("No answer came. Do it again: what is left is ended then.", {});
      }
      return `${countOfSessions(answer.revokeSessions.revokedCount)} ended.`;
    } finally {
      setRunning(undefined);
      onEnded();
    }
  }

  return (
    <Stack gap="xs">
      <Group>
        <Button
          color="red"
          variant="light"
          loading={isCounting || running !== undefined}
          onClick={() => void ask()}
        >
          Log out all that fit
        </Button>
      </Group>
      {running && (
        <div role="status">
          <Progress
            aria-label="Sessions ended"
            value={running.total === 0 ? 100 : (1 - left / running.total) * 100}
            animated
          />
          <Text size="sm" c="dimmed">
            {countOfSessions(Math.max(0, running.total - left))} of {running.total.toLocaleString()} ended
          </Text>
        </div>
      )}
    </Stack>
  );
}
