import { type ReactNode, Suspense } from "react";
import { Route, Switch } from "wouter";
import { useSession } from "../client/react.ts";
import { ConfirmSignUp } from "./account/confirm-sign-up.tsx";
import { Devices } from "./account/devices.tsx";
import { ForgotPassword } from "./account/forgot-password.tsx";
import { ReportSession } from "./account/report-session.tsx";
import { ResetPassword } from "./account/reset-password.tsx";
import { SignIn } from "./account/sign-in.tsx";
import { SignUp } from "./account/sign-up.tsx";
import { onDemand } from "./on-demand.tsx";
import { CapabilitiesProvider, useCapabilities } from "./operators/capabilities.tsx";
import { type NavigationItem, Shell } from "./shell.tsx";
import { Waiting } from "./states.tsx";

/** Most people are no operators and need not load them. */
const OperatorPages = onDemand(() =>
  import("./operators/pages.tsx").then(({ OperatorPages }) => OperatorPages),
);

const OPERATORS_NAVIGATION: readonly NavigationItem[] = [
  { href: "/", label: "Live" },
  { href: "/users", label: "Users" },
  { href: "/sessions", label: "Sessions" },
  { href: "/audit", label: "Audit" },
  { href: "/devices", label: "Your devices" },
];

/** Not there where the service has turned it off. */
const GRAPHIQL: readonly NavigationItem[] = document.querySelector('link[href="/graphql"]')
  ? [{ href: "/graphql", label: "GraphiQL", isElsewhere: true }]
  : [];

const SignUpPage = plain(SignUp);
const ForgotPasswordPage = plain(ForgotPassword);
const ResetPasswordPage = plain(ResetPassword);
const ReportSessionPage = plain(ReportSession);
const ConfirmSignUpPage = plain(ConfirmSignUp);

/** The pages. Those that mails lead to are for everybody, signed in or not. */
export function App(): ReactNode {
  return (
    <Switch>
      <Route path="/sign-up" component={SignUpPage} />
      <Route path="/forgot-password" component={ForgotPasswordPage} />
      <Route path="/reset-password" component={ResetPasswordPage} />
      <Route path="/report-session" component={ReportSessionPage} />
      <Route path="/confirm-sign-up" component={ConfirmSignUpPage} />
      <Route component={Home} />
    </Switch>
  );
}

function plain(Page: () => ReactNode): () => ReactNode {
  return () => (
    <Shell navigation={[]}>
      <Page />
    </Shell>
  );
}

function Home(): ReactNode {
  const { status } = useSession();
  if (status === "signedIn") {
    return (
      <CapabilitiesProvider>
        <SignedInPages />
      </CapabilitiesProvider>
    );
  }
  return (
    <Shell navigation={[]}>
      {status === "signedOut" ? <SignIn /> : <Waiting what="whether you are signed in" />}
    </Shell>
  );
}

function SignedInPages(): ReactNode {
  if (!useCapabilities().includes("READ_ANY_SESSIONS")) {
    return (
      <Shell navigation={[]}>
        <Devices />
      </Shell>
    );
  }
  return (
    <Shell navigation={[...OPERATORS_NAVIGATION, ...GRAPHIQL]}>
      <Suspense fallback={<Waiting what="the page" />}>
        <OperatorPages />
      </Suspense>
    </Shell>
  );
}
