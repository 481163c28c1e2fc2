import { Badge, Select, SimpleGrid, Stack, Table, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import { type Role, RolesDocument, type UserStatus, UsersDocument } from "../../client/generated/graphql.ts";
import { countOf } from "../counts.ts";
import { useLiveQuery } from "../data.tsx";
import { Empty, Found } from "../states.tsx";
import { timeOf } from "../time.ts";
import { UserLink } from "./event-line.tsx";
import { PageControls, usePaging } from "./paging.tsx";

const PAGE_SIZE = 20;
/** Whoever types is not to ask for each letter. Milliseconds. */
const TYPING_MS = 250;

/** All users, to be looked for by name, email, role and status. */
export function Users(): ReactNode {
  const [text, setText] = useState("");
  const [search] = useDebouncedValue(text, TYPING_MS);
  const [role, setRole] = useState<string | null>(null);
  const [status, setStatus] = useState<string | null>(null);
  const paging = usePaging();
  const roles = useLiveQuery(RolesDocument, {}, () => false);
  const query = useLiveQuery(
    UsersDocument,
    {
      first: PAGE_SIZE,
      after: paging.after ?? null,
      search: search || null,
      role: role as Role | null,
      status: status as UserStatus | null,
    },
    ({ reason, type }) =>
      type === "SESSION_CREATED" || reason === "ROLE_CHANGED" || reason === "USER_DEACTIVATED",
  );
  return (
    <Stack>
      <Title order={2} size="h3">
        Users
      </Title>
      <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="xs">
        <TextInput
          type="search"
          label="Name or email"
          placeholder="Anybody"
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            paging.first();
          }}
        />
        <Select
          label="Role"
          placeholder="Any"
          clearable
          value={role}
          data={[...(roles.data?.roles ?? [])]}
          onChange={(value) => {
            setRole(value);
            paging.first();
          }}
        />
        <Select
          label="Status"
          placeholder="Any"
          clearable
          value={status}
          data={[
            { value: "ACTIVE", label: "Active" },
            { value: "DEACTIVATED", label: "Deactivated" },
          ]}
          onChange={(value) => {
            setStatus(value);
            paging.first();
          }}
        />
      </SimpleGrid>
      <Found query={query} what="the users">
        {({ users }) => (
          <>
            {users.edges.length === 0 ? (
              <Empty>No user fits. Look for less, or for another role or status.</Empty>
            ) : (
              <Table.ScrollContainer minWidth={560}>
                <Table highlightOnHover aria-label="Users">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Name</Table.Th>
                      <Table.Th>Email</Table.Th>
                      <Table.Th>Role</Table.Th>
                      <Table.Th>Status</Table.Th>
                      <Table.Th>Signed up</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {users.edges.map(({ node }) => (
                      <Table.Tr key={node.id}>
                        <Table.Td>
                          <UserLink user={node} />
                        </Table.Td>
                        <Table.Td>{node.email}</Table.Td>
                        <Table.Td>
                          <RoleBadge role={node.role} />
                        </Table.Td>
                        <Table.Td>
                          <StatusBadge status={node.status} />
                        </Table.Td>
                        <Table.Td>{timeOf(node.createdAt)}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
            )}
            <PageControls paging={paging} total={countOf(users.totalCount, "user")} {...users.pageInfo} />
          </>
        )}
      </Found>
    </Stack>
  );
}

export function RoleBadge({ role }: { readonly role: Role }): ReactNode {
  return (
    <Badge variant={role === "USER" ? "default" : "light"} color={role === "ADMIN" ? "red" : "indigo"}>
      {role}
    </Badge>
  );
}

export function StatusBadge({ status }: { readonly status: UserStatus }): ReactNode {
  return (
    <Badge variant="dot" color={status === "ACTIVE" ? "green" : "red"}>
      {status === "ACTIVE" ? "Active" : "Deactivated"}
    </Badge>
  );
}
