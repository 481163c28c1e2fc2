/** What the verifier asks the service. A service that runs trusted documents only trusts these. */
export const FOLLOW =
  "subscription ($after: ID) { sessionEvents(after: $after) { id type sessionId reason } }";
export const STATUS = "query { logStatus { head stalenessMs } }";
/** The event that stands right before a moment. */
export const BEFORE =
  "query ($until: DateTime) { sessionEvents(first: 1, filter: { until: $until }) { edges { node { id } } } }";
/** The oldest event that the log still has. */
export const OLDEST = "query { sessionEvents(last: 1) { edges { node { id type sessionId reason } } } }";
