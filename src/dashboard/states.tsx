import { Alert, Center, Loader, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import type { LiveQuery } from "./data.tsx";

/** What a query found, or that it is awaited, or why it failed. What was found before stays while it fails. */
export function Found<Data>({
  query,
  what,
  children,
}: {
  readonly query: LiveQuery<Data>;
  /** What is awaited: "the users". */
  readonly what: string;
  readonly children: (data: Data) => ReactNode;
}): ReactNode {
  const { data, problem } = query;
  return (
    <Stack>
      {problem && (
        <Alert color="red" role="alert">
          {problem}
        </Alert>
      )}
      {data === undefined ? !problem && <Waiting what={what} /> : children(data)}
    </Stack>
  );
}

export function Waiting({ what }: { readonly what: string }): ReactNode {
  return (
    <Center h={160} role="status" aria-label={`Loading ${what}`}>
      <Loader />
    </Center>
  );
}

/** Says that there is nothing, and what would be here. */
export function Empty({ children }: { readonly children: ReactNode }): ReactNode {
  return (
    <Center mih={120} p="md">
      <Text c="dimmed" ta="center">
        {children}
      </Text>
    </Center>
  );
}
