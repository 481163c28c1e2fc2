import {
  ActionIcon,
  Alert,
  AppShell,
  Burger,
  Button,
  Container,
  Group,
  NavLink,
  Text,
  Title,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure, useNetwork } from "@mantine/hooks";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { useConnected, useSession, useSessionClient } from "../client/react.ts";
import { Fallible } from "./on-demand.tsx";

/** A connection that is back so soon was nothing to speak of. Milliseconds. */
const PATIENCE_MS = 3_000;

export interface NavigationItem {
  readonly href: string;
  readonly label: string;
  /** Whether it is not a page of this app. */
  readonly isElsewhere?: boolean;
}

/** What stands around all pages. */
export function Shell({
  navigation,
  children,
}: {
  readonly navigation: readonly NavigationItem[];
  readonly children: ReactNode;
}): ReactNode {
  const [isOpen, { toggle, close }] = useDisclosure();
  const hasNavigation = navigation.length > 0;
  return (
    <AppShell
      header={{ height: 56 }}
      {...(hasNavigation ? { navbar: { width: 180, breakpoint: "sm", collapsed: { mobile: !isOpen } } } : {})}
      padding="md"
    >
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            {hasNavigation && (
              <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Pages" />
            )}
            <Title order={1} size="h4">
              <Link href="/" style={{ color: "inherit", textDecoration: "none", whiteSpace: "nowrap" }}>
                live-logout
              </Link>
            </Title>
          </Group>
          <Viewer />
        </Group>
      </AppShell.Header>
      {hasNavigation && (
        <AppShell.Navbar p="xs" aria-label="Pages">
          {navigation.map((item) => (
            <NavigationLink key={item.href} item={item} onFollowed={close} />
          ))}
        </AppShell.Navbar>
      )}
      <AppShell.Main>
        <Container size={hasNavigation ? "lg" : "sm"} px={0}>
          <Offline />
          <Fallible>{children}</Fallible>
        </Container>
      </AppShell.Main>
    </AppShell>
  );
}

function NavigationLink({
  item,
  onFollowed,
}: {
  readonly item: NavigationItem;
  readonly onFollowed: () => void;
}): ReactNode {
  const [location] = useLocation();
  const { href, label, isElsewhere } = item;
  if (isElsewhere) return <NavLink component="a" href={href} target="_blank" label={label} />;
  const isHere = href === "/" ? location === "/" : location.startsWith(href);
  return (
    <NavLink
      component={Link}
      href={href}
      label={label}
      active={isHere}
      aria-current={isHere ? "page" : undefined}
      onClick={onFollowed}
    />
  );
}

function Viewer(): ReactNode {
  const session = useSession();
  const client = useSessionClient();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const [isLeaving, setLeaving] = useState(false);

  async function leave(): Promise<void> {
    setLeaving(true);
    // Whoever is not reached is not logged out, and sees that they are still here.
    await client.logout().catch(() => {});
    setLeaving(false);
  }
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <Group gap="sm" wrap="nowrap" style={{ minWidth: 0 }}>
      <ActionIcon
        variant="default"
        aria-label={`Switch to ${other} colours`}
        onClick={() => setColorScheme(other)}
      >
        {scheme === "dark" ? "☀" : "☾"}
      </ActionIcon>
      {session.status === "signedIn" && (
        <>
          <Text size="sm" truncate visibleFrom="xs">
            {session.user.name}
          </Text>
          <Button
            size="xs"
            variant="default"
            loading={isLeaving}
            onClick={() => void leave()}
            style={{ flexShrink: 0 }}
          >
            Log out
          </Button>
        </>
      )}
    </Group>
  );
}

/** Says that what is shown may be old. */
function Offline(): ReactNode {
  const session = useSession();
  const isConnected = useConnected();
  const { online } = useNetwork();
  const [isPatienceOver, setPatienceOver] = useState(false);
  const isWaiting = session.status === "signedIn" && !isConnected;
  useEffect(() => {
    setPatienceOver(false);
    if (!isWaiting) return undefined;
    const timer = setTimeout(() => setPatienceOver(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isWaiting]);
  const isOffline = !online || (isWaiting && isPatienceOver);
  return (
    <div aria-live="polite">
      {isOffline && (
        <Alert color="yellow" mb="md" title={online ? "The service cannot be reached" : "You are offline"}>
          What you see may be old. It is brought up to date as soon as the connection is back.
        </Alert>
      )}
    </div>
  );
}
