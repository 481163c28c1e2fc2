import { Button, Card, Group, Select, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { RefusedError } from "../../client/core.ts";
import {
  ChangeUserRoleDocument,
  RevokeAllSessionsDocument,
  RevokeSessionDocument,
  type Role,
  RolesDocument,
  SessionEventsDocument,
  SetUserStatusDocument,
  type UserStatus,
  UserWithSessionsDocument,
  type UserWithSessionsQuery,
} from "../../client/generated/graphql.ts";
import { useSessionClient } from "../../client/react.ts";
import { useActions } from "../actions.tsx";
import { countOf, countOfSessions } from "../counts.ts";
import { useLiveQuery } from "../data.tsx";
import { SessionCard } from "../session-card.tsx";
import { Empty, Found } from "../states.tsx";
import { timeOf } from "../time.ts";
import { useCapabilities } from "./capabilities.tsx";
import { EventLine } from "./event-line.tsx";
import { PageControls, usePaging } from "./paging.tsx";
import { RoleBadge, StatusBadge } from "./users.tsx";

type User = NonNullable<UserWithSessionsQuery["user"]>;

/** A user with their sessions and what happened to them, and what may be done about it. */
export function UserPage({ params }: { readonly params: { readonly id: string } }): ReactNode {
  const query = useLiveQuery(
    UserWithSessionsDocument,
    { id: params.id },
    ({ user }) => user.id === params.id,
  );
  return (
    <Found query={query} what="the user">
      {({ user }) =>
        user ? (
          <Stack>
            <Head user={user} onChanged={query.refresh} />
            <Sessions user={user} />
            <Timeline userId={user.id} />
          </Stack>
        ) : (
          <Empty>There is no user of this id. They may have been deleted.</Empty>
        )
      }
    </Found>
  );
}

function Head({ user, onChanged }: { readonly user: User; readonly onChanged: () => void }): ReactNode {
  const client = useSessionClient();
  const { confirm } = useActions();
  const capabilities = useCapabilities();
  const roles = useLiveQuery(RolesDocument, {}, () => false);
  const ends =
    user.sessions.length === 0
      ? "They have no session that would end."
      : `Ends ${countOfSessions(user.sessions.length)} of this user, now.`;

  function confirmRole(role: Role): void {
    confirm({
      title: `Make ${user.name} ${role}?`,
      what: ends,
      verb: "Change the role",
      async run() {
        const { changeUserRole: result } = await client.run(ChangeUserRoleDocument, {
          userId: user.id,
          role,
        });
        if (result.__typename !== "UserSuccess") throw refusal(result);
        onChanged();
        return `${user.name} is ${role} now; ${countOfSessions(result.revokedCount)} ended.`;
      },
    });
  }
  function confirmStatus(status: UserStatus): void {
    const isGoing = status === "DEACTIVATED";
    confirm({
      title: isGoing ? `Deactivate ${user.name}?` : `Activate ${user.name}?`,
      what: isGoing
        ? `${ends} They cannot sign in until they are activated again.`
        : "They can sign in again.",
      verb: isGoing ? "Deactivate" : "Activate",
      async run() {
        const { setUserStatus: result } = await client.run(SetUserStatusDocument, {
          userId: user.id,
          status,
        });
        if (result.__typename !== "UserSuccess") throw refusal(result);
        onChanged();
        return isGoing
          ? `${user.name} is deactivated; ${countOfSessions(result.revokedCount)} ended.`
          : `${user.name} is active again.`;
      },
    });
  }

  return (
    <Card withBorder padding="md">
      <Group justify="space-between" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Title order={2} size="h3">
              {user.name}
            </Title>
            <RoleBadge role={user.role} />
            <StatusBadge status={user.status} />
          </Group>
          <Text size="sm" c="dimmed">
            {user.email} · signed up {timeOf(user.createdAt)}
          </Text>
        </div>
        {capabilities.includes("CHANGE_USERS") && (
          <Group gap="xs" align="flex-end">
            <Select
              size="xs"
              w={130}
              aria-label="Role"
              allowDeselect={false}
              value={user.role}
              data={[...(roles.data?.roles ?? [user.role])]}
              onChange={(role) => role && role !== user.role && confirmRole(role as Role)}
            />
            <Button
              size="xs"
              variant="light"
              color={user.status === "ACTIVE" ? "red" : "green"}
              onClick={() => confirmStatus(user.status === "ACTIVE" ? "DEACTIVATED" : "ACTIVE")}
            >
              {user.status === "ACTIVE" ? "Deactivate" : "Activate"}
            </Button>
          </Group>
        )}
      </Group>
    </Card>
  );
}

function Sessions({ user }: { readonly user: User }): ReactNode {
  const client = useSessionClient();
  const { confirm } = useActions();
  const mayEnd = useCapabilities().includes("END_ANY_SESSIONS");
  return (
    <Stack gap="sm" component="section" aria-labelledby="sessions-of-user">
      <Group justify="space-between">
        <Title order={3} size="h4" id="sessions-of-user">
          {countOfSessions(user.sessions.length)}
        </Title>
        {mayEnd && (
          <Button
            size="xs"
            color="red"
            variant="light"
            disabled={user.sessions.length === 0}
            onClick={() =>
              confirm({
                title: `Log out ${user.name} everywhere?`,
                what: `Ends ${countOfSessions(user.sessions.length)} of this user, now.`,
                verb: "Log out",
                async run() {
                  const { revokeAllSessions: result } = await client.run(RevokeAllSessionsDocument, {
                    userId: user.id,
                  });
                  if (result.__typename !== "RevokeAllSessionsSuccess") throw refusal(result);
                  return `${countOfSessions(result.revokedCount)} of ${user.name} ended.`;
                },
              })
            }
          >
            Log out everywhere
          </Button>
        )}
      </Group>
      {user.sessions.length === 0 && <Empty>{user.name} is signed in nowhere.</Empty>}
      <Stack component="ul" p={0} m={0} gap="sm" style={{ listStyle: "none" }} aria-live="polite">
        {user.sessions.map((session) => (
          <SessionCard
            key={session.id}
            session={session}
            onEnd={
              mayEnd
                ? () =>
                    confirm({
                      title: `Log out ${session.device}?`,
                      what: "Ends 1 session of this user, now.",
                      verb: "Log out",
                      async run() {
                        const { revokeSession: result } = await client.run(RevokeSessionDocument, {
                          id: session.id,
                        });
                        if (result.__typename !== "RevokeSessionSuccess") throw refusal(result);
                        return `${session.device} of ${user.name} is logged out.`;
                      },
                    })
                : undefined
            }
          />
        ))}
      </Stack>
    </Stack>
  );
}

function Timeline({ userId }: { readonly userId: string }): ReactNode {
  const paging = usePaging();
  const query = useLiveQuery(
    SessionEventsDocument,
    { first: 20, after: paging.after ?? null, userId },
    ({ user }) => user.id === userId,
  );
  return (
    <Card withBorder padding="md" component="section" aria-labelledby="timeline">
      <Title order={3} size="h4" id="timeline" mb="xs">
        Timeline
      </Title>
      <Found query={query} what="what happened">
        {({ sessionEvents: { edges, pageInfo, totalCount } }) => (
          <>
            {edges.length === 0 && <Empty>Nothing has happened yet.</Empty>}
            <ul style={{ margin: 0, padding: 0, listStyle: "none" }}>
              {edges.map(({ node }) => (
                <EventLine key={node.id} event={node} isUserKnown />
              ))}
            </ul>
            <PageControls paging={paging} total={countOf(totalCount, "event")} {...pageInfo} />
          </>
        )}
      </Found>
    </Card>
  );
}

/** A result that says no, as what `explain` knows. */
function refusal({ message }: { readonly message: string }): RefusedError {
  return new RefusedError(message, {});
}
