/** How a node is set up for all cases: as for production, but all clients are at one address. */
export const NODE_SETTINGS = {
  HOST: "127.0.0.1",
  PORT: "0",
  LOG_LEVEL: "error",
  ADMIN_PASSWORD: "correct horse battery",
  SOCKETS: "100000",
  SOCKETS_PER_ADDRESS: "100000",
  LOGIN_FAILURES_PER_ADDRESS: "1000000",
} as const;
