import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createSessionClient } from "../client/core.ts";
import { SessionProvider } from "../client/react.ts";
import { ActionsProvider } from "./actions.tsx";
import { App } from "./app.tsx";
import { createDataClients, DataProvider } from "./data.tsx";
import { LogProvider } from "./log.tsx";
import { cssVariables, theme } from "./theme.ts";

const url = new URL("/graphql", location.origin).href;
const client = createSessionClient({ url });
const clients = createDataClients(client, url);
const root = document.getElementById("root");
if (!root) throw new Error("the page has no place for the app");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <Notifications />
      <SessionProvider client={client}>
        <DataProvider clients={clients}>
          <LogProvider>
            <ActionsProvider>
              <App />
            </ActionsProvider>
          </LogProvider>
        </DataProvider>
      </SessionProvider>
    </MantineProvider>
  </StrictMode>,
);
