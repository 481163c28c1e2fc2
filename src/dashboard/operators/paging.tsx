import { Button, Group, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";

/** A place in a list that is read page by page. */
export interface Paging {
  /** Of the page that is shown; undefined: the first. */
  readonly after: string | undefined;
  readonly first: () => void;
  readonly next: (after: string) => void;
  /** Undefined on the first page. */
  readonly back: (() => void) | undefined;
}

export function usePaging(): Paging {
  const [cursors, setCursors] = useState<readonly string[]>([]);
  return {
    after: cursors.at(-1),
    first: () => setCursors([]),
    next: (after) => setCursors([...cursors, after]),
    back: cursors.length > 0 ? () => setCursors(cursors.slice(0, -1)) : undefined,
  };
}

/** How many there are, and what leads to the next page and back. */
export function PageControls({
  paging,
  total,
  endCursor,
  hasNextPage,
}: {
  readonly paging: Paging;
  /** "12 users" */
  readonly total: string;
  readonly endCursor: string | null;
  readonly hasNextPage: boolean;
}): ReactNode {
  return (
    <Group justify="space-between">
      <Text size="sm" c="dimmed" role="status">
        {total}
      </Text>
      <Group gap="xs">
        <Button size="xs" variant="default" disabled={!paging.back} onClick={paging.back}>
          Back
        </Button>
        <Button
          size="xs"
          variant="default"
          disabled={!hasNextPage || !endCursor}
          onClick={() => endCursor && paging.next(endCursor)}
        >
          Next
        </Button>
      </Group>
    </Group>
  );
}
