import { Card, Group, SegmentedControl, SimpleGrid, Skeleton, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, Suspense, useState } from "react";
import { StatisticsDocument } from "../../client/generated/graphql.ts";
import { useLiveQuery } from "../data.tsx";
import { Fallible, onDemand } from "../on-demand.tsx";
import { Found } from "../states.tsx";
import { LiveFeed } from "./live-feed.tsx";

/** They are larger than all the rest. */
const Charts = onDemand(() => import("./charts.tsx").then(({ Charts }) => Charts));

const SPANS = {
  hour: { label: "1 hour", ms: 3_600_000, intervals: 30 },
  day: { label: "24 hours", ms: 86_400_000, intervals: 48 },
  week: { label: "7 days", ms: 604_800_000, intervals: 84 },
} as const;

export type Span = keyof typeof SPANS;

/** What is going on, live. */
export function Overview(): ReactNode {
  const [span, setSpan] = useState<Span>("day");
  const { ms, intervals } = SPANS[span];
  // To the minute, so that it is the same question until the minute is over.
  const from = new Date(Math.floor(Date.now() / 60_000) * 60_000 - ms).toISOString();
  const query = useLiveQuery(StatisticsDocument, { from, intervals }, () => true);

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={2} size="h3">
          Live
        </Title>
        <SegmentedControl
          size="xs"
          aria-label="How far back"
          value={span}
          onChange={(value) => setSpan(value as Span)}
          data={Object.entries(SPANS).map(([value, { label }]) => ({ value, label }))}
        />
      </Group>
      <Found query={query} what="what is going on">
        {({ statistics }) => {
          const sum = (of: (interval: (typeof statistics.intervals)[number]) => number) =>
            statistics.intervals.reduce((total, interval) => total + of(interval), 0);
          const revocations = sum((interval) =>
            interval.revocations.reduce((total, { count }) => total + count, 0),
          );
          return (
            <>
              <SimpleGrid cols={{ base: 2, sm: 5 }}>
                <Figure label="Active sessions" value={statistics.activeSessions} />
                <Figure label="Connected to this node" value={statistics.connectedSessions} />
                <Figure label="Users" value={statistics.users} />
                <Figure label="Sign-ins" value={sum(({ signIns }) => signIns)} />
                <Figure label="Sessions ended" value={revocations} />
              </SimpleGrid>
              <Fallible>
                <Suspense fallback={<Skeleton height={260} aria-label="Loading charts" />}>
                  <Charts
                    intervals={statistics.intervals}
                    activeSessions={statistics.activeSessions}
                    span={span}
                  />
                </Suspense>
              </Fallible>
            </>
          );
        }}
      </Found>
      <LiveFeed />
    </Stack>
  );
}

function Figure({ label, value }: { readonly label: string; readonly value: number }): ReactNode {
  return (
    <Card withBorder padding="md" component="section" aria-label={`${label}: ${value}`}>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text fz={28} fw={700} lh={1.2} style={{ fontVariantNumeric: "tabular-nums" }}>
        {value.toLocaleString()}
      </Text>
    </Card>
  );
}
