/** Every second or two each node looks for mails and pushes that are due, whether anybody asks it for something or not. */
const OF_ITS_OWN_ACCORD = /\b(outbox|event_receivers)\b/;

/** What a node asks its database for the sake of requests. */
export interface Statements {
  /** Goes into the node's options. */
  readonly onQuery: (statement: string) => void;
  /** Those since the last call. */
  readonly take: () => readonly string[];
}

export function recordStatements(): Statements {
  let statements: string[] = [];
  return {
    onQuery(statement) {
      if (!OF_ITS_OWN_ACCORD.test(statement)) statements.push(statement);
    },
    take() {
      const taken = statements;
      statements = [];
      return taken;
    },
  };
}
