import type { Node } from "./main.ts";

/** What an operator reads once a node serves: where everything is, and a password that is shown this once. */
export function welcome({ url, metricsUrl, database, firstAdministrator }: Omit<Node, "stop">): string {
  const lines = [
    `live-logout is ready at ${url}`,
    `  ${url}/          the dashboard: your devices, and what operators see`,
    `  ${url}/graphql   GraphiQL in a browser, GraphQL over HTTP, SSE and WebSocket`,
    `  ${url}/readyz    whether this node is ready`,
    `  Data: ${database.description}`,
  ];
  if (metricsUrl) lines.push(`  ${metricsUrl}   for Prometheus`);
  if (firstAdministrator) {
    lines.push(`  First administrator: ${firstAdministrator.email}`);
    const password = firstAdministrator.generatedPassword;
    if (password) lines.push(`  Their password, shown this once: ${password}`);
  }
  return lines.join("\n");
}
