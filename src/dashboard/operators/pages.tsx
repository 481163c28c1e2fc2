import type { ReactNode } from "react";
import { Route, Switch } from "wouter";
import { Devices } from "../account/devices.tsx";
import { Empty } from "../states.tsx";
import { Audit } from "./audit.tsx";
import { Overview } from "./overview.tsx";
import { Sessions } from "./sessions.tsx";
import { UserPage } from "./user.tsx";
import { Users } from "./users.tsx";

/** What whoever may see anybody's sessions has, besides their own devices. */
export function OperatorPages(): ReactNode {
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/users" component={Users} />
      <Route path="/users/:id" component={UserPage} />
      <Route path="/sessions" component={Sessions} />
      <Route path="/audit" component={Audit} />
      <Route path="/devices" component={Devices} />
      <Route>
        <Empty>There is nothing here.</Empty>
      </Route>
    </Switch>
  );
}
