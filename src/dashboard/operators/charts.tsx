import "@mantine/charts/styles.css";
import { AreaChart, BarChart } from "@mantine/charts";
import { Card, SimpleGrid, Text } from "@mantine/core";
import type { ReactNode } from "react";
import type { StatisticsQuery } from "../../client/generated/graphql.ts";
import { REASON_OPTIONS, REASONS } from "../reasons.ts";
import type { Span } from "./overview.tsx";

type Interval = StatisticsQuery["statistics"]["intervals"][number];

const LABELS = {
  hour: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }),
  day: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }),
  week: new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" }),
} as const satisfies Record<Span, Intl.DateTimeFormat>;

/** Sessions, sign-ins and revocations by reason over time. */
export function Charts({
  intervals,
  activeSessions,
  span,
}: {
  readonly intervals: readonly Interval[];
  /** How many there are now. */
  readonly activeSessions: number;
  readonly span: Span;
}): ReactNode {
  const data = intervals.map(({ start, activeSessions, signIns, revocations }) => ({
    time: LABELS[span].format(new Date(start)),
    activeSessions,
    signIns,
    ...Object.fromEntries(revocations.map(({ reason, count }) => [reason, count])),
  }));
  // Each interval has what there was at its beginning, so without this the line would end one interval ago.
  const untilNow = [...data, { time: LABELS[span].format(new Date()), activeSessions }];
  const seen = new Set(intervals.flatMap(({ revocations }) => revocations.map(({ reason }) => reason)));
  const reasons = REASON_OPTIONS.filter(({ value }) =>
    seen.has(value as Interval["revocations"][number]["reason"]),
  );
  const series = reasons.map(({ value, label }) => ({
    name: value,
    label,
    color: `${REASONS[value as keyof typeof REASONS].color}.5`,
  }));
  const total = (of: (interval: Interval) => number) =>
    intervals.reduce((sum, interval) => sum + of(interval), 0);
  const ended = total(({ revocations }) => revocations.reduce((sum, { count }) => sum + count, 0));
  const shape = {
    h: 180,
    data,
    dataKey: "time",
    withDots: false,
    tickLine: "none",
    yAxisProps: { allowDecimals: false },
  } as const;

  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Chart title="Active sessions" summary={`${activeSessions} at the end`}>
        <AreaChart
          {...shape}
          data={untilNow}
          curveType="monotone"
          series={[{ name: "activeSessions", label: "Active sessions", color: "indigo.5" }]}
        />
      </Chart>
      <Chart title="Sign-ins" summary={`${total(({ signIns }) => signIns)} together`}>
        <BarChart
          {...shape}
          maxBarWidth={14}
          series={[{ name: "signIns", label: "Sign-ins", color: "indigo.5" }]}
        />
      </Chart>
      <Chart title="Sessions ended, by reason" summary={`${ended} together`} isWide>
        <BarChart {...shape} h={220} type="stacked" maxBarWidth={14} series={series} withLegend />
      </Chart>
    </SimpleGrid>
  );
}

function Chart({
  title,
  summary,
  isWide = false,
  children,
}: {
  readonly title: string;
  readonly summary: string;
  /** Whether it takes a row of its own. */
  readonly isWide?: boolean;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <Card withBorder padding="md" style={isWide ? { gridColumn: "1 / -1" } : undefined}>
      <Text size="sm" fw={600} mb="xs">
        {title}
      </Text>
      <div role="img" aria-label={`${title}: ${summary}`}>
        {children}
      </div>
    </Card>
  );
}
