import { Alert, Button } from "@mantine/core";
import { Component, type ComponentType, lazy, type ReactNode } from "react";

const RETRY_MS = 1_000;
/** So often a part may be missing although the service answers: a newer version has taken the place of this page's. */
const MISSES = 2;

/** A part of the app that is loaded when it is needed. While the service cannot be reached it is tried again. */
export function onDemand<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  return lazy(async () => {
    for (let misses = 0; ; ) {
      try {
        return { default: await load() };
      } catch (error) {
        if (await isReachable()) misses += 1;
        if (misses >= MISSES) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  });
}

function isReachable(): Promise<boolean> {
  return fetch("/healthz").then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Shows what it holds, and when that fails a way out instead of nothing at all. */
export class Fallible extends Component<{ readonly children: ReactNode }, { readonly hasFailed: boolean }> {
  override readonly state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render(): ReactNode {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <Alert color="red" role="alert" title="This part of the page could not be shown.">
        <Button size="xs" onClick={() => location.reload()}>
          Load the page again
        </Button>
      </Alert>
    );
  }
}
