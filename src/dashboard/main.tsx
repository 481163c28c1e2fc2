import "@mantine/core/styles.css";
import { createTheme, MantineProvider } from "@mantine/core";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createSessionClient } from "../client/core.ts";
import { SessionProvider } from "../client/react.ts";
import { App } from "./app.tsx";

const client = createSessionClient({ url: new URL("/graphql", location.origin).href });
const theme = createTheme({ primaryColor: "indigo", defaultRadius: "md" });

const root = document.getElementById("root");
if (!root) throw new Error("the page has no place for the app");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <SessionProvider client={client}>
        <App />
      </SessionProvider>
    </MantineProvider>
  </StrictMode>,
);
