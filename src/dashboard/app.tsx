import { AppShell, Button, Center, Container, Group, Loader, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Link, Route, Switch } from "wouter";
import { useSession, useSessionClient } from "../client/react.ts";
import { ConfirmSignUp } from "./confirm-sign-up.tsx";
import { Devices } from "./devices.tsx";
import { ForgotPassword } from "./forgot-password.tsx";
import { ReportSession } from "./report-session.tsx";
import { ResetPassword } from "./reset-password.tsx";
import { SignIn } from "./sign-in.tsx";
import { SignUp } from "./sign-up.tsx";

/** The pages, and what stands around all of them. */
export function App(): ReactNode {
  return (
    <AppShell header={{ height: 56 }} padding="md">
      <AppShell.Header>
        <Header />
      </AppShell.Header>
      <AppShell.Main>
        <Container size="sm" py="md">
          <Switch>
            <Route path="/sign-up" component={SignUp} />
            <Route path="/forgot-password" component={ForgotPassword} />
            <Route path="/reset-password" component={ResetPassword} />
            <Route path="/report-session" component={ReportSession} />
            <Route path="/confirm-sign-up" component={ConfirmSignUp} />
            <Route component={Home} />
          </Switch>
        </Container>
      </AppShell.Main>
    </AppShell>
  );
}

function Header(): ReactNode {
  const session = useSession();
  const client = useSessionClient();
  return (
    <Group h="100%" px="md" justify="space-between" wrap="nowrap">
      <Title order={1} size="h4">
        <Link href="/" style={{ color: "inherit", textDecoration: "none" }}>
          live-logout
        </Link>
      </Title>
      {session.status === "signedIn" && (
        <Group gap="sm" wrap="nowrap">
          <Text size="sm" truncate>
            {session.user.name}
          </Text>
          <Button size="xs" variant="default" onClick={() => void client.logout()}>
            Log out
          </Button>
        </Group>
      )}
    </Group>
  );
}

function Home(): ReactNode {
  const { status } = useSession();
  switch (status) {
    case "signedIn":
      return <Devices />;
    case "signedOut":
      return <SignIn />;
    case "loading":
      return (
        <Center h={200}>
          <Loader aria-label="Looking whether you are signed in" />
        </Center>
      );
  }
}
