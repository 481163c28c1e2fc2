import { Alert, Button } from "@mantine/core";
import { createContext, type ReactNode, useContext } from "react";
import { gql, useQuery } from "urql";
import {
  CapabilitiesDocument,
  type CapabilitiesQuery,
  type Capability,
} from "../../client/generated/graphql.ts";
import { Waiting } from "../states.tsx";

const CapabilitiesContext = createContext<readonly Capability[]>([]);

/** What the viewer may do beyond their own sessions. */
export function useCapabilities(): readonly Capability[] {
  return useContext(CapabilitiesContext);
}

/** For whoever is signed in. A change of their role ends their session, so it is asked once. */
export function CapabilitiesProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [{ data, error }, execute] = useQuery<CapabilitiesQuery>({
    query: gql(String(CapabilitiesDocument)),
    requestPolicy: "cache-first",
  });
  if (data?.viewer)
    return <CapabilitiesContext value={data.viewer.capabilities}>{children}</CapabilitiesContext>;
  if (!error) return <Waiting what="what you may do" />;
  return (
    <Alert color="red" role="alert" title="The service cannot be reached." m="md">
      <Button size="xs" onClick={() => execute({ requestPolicy: "network-only" })}>
        Try again
      </Button>
    </Alert>
  );
}
