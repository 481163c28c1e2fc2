import {
  type ASTVisitor,
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  parse,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
  validate,
} from "graphql";
import type { GraphQLParams, Plugin } from "graphql-yoga";
import { limitExceeded } from "./errors.ts";

/** Far more than any operation needs; a nesting that overflows the parser's stack needs more. */
const MAX_TOKENS = 2_000;
/**
 * How long a document may be, in UTF-16 units. Yoga remembers a thousand texts, those that are wrong as well: of a megabyte each
 * they would be a gigabyte.
 */
const MAX_LENGTH = 50_000;
/** How deep fields may nest. The deepest page of users with their sessions needs six. */
const MAX_DEPTH = 12;
/** How many aliases, and how many directives, a document may have. Our own clients need none. */
const MAX_ALIASES = 50;
const MAX_DIRECTIVES = 50;
/** How many fields an operation may come to with its fragments put in place: each may be used many times. */
const MAX_FIELDS = 5_000;

/** Mutations that hash a password or write a mail: by aliases one request could do hundreds. */
const ATTEMPTS: readonly string[] = [
  "login",
  "signUp",
  "confirmSignUp",
  "changePassword",
  "reauthenticate",
  "requestPasswordReset",
  "resetPassword",
  "reportSession",
];

/** Refuses documents that would cost far more than they are long, the same on every transport. */
export function limitDocuments({ hasIntrospection }: { readonly hasIntrospection: boolean }): Plugin {
  return {
    onParams({ params }) {
      // Whether this is a request at all is looked at after us.
      const query: unknown = (params as GraphQLParams | null)?.query;
      if (typeof query === "string" && query.length > MAX_LENGTH) {
        throw limitExceeded(`a document of more than ${MAX_LENGTH} characters`);
      }
    },
    onParse({ setParseFn }) {
      setParseFn((source, options) => {
        try {
          return parse(source, { ...options, maxTokens: MAX_TOKENS });
        } catch (error) {
          const extensions = { code: "GRAPHQL_PARSE_FAILED", http: { status: 400, spec: true } };
          // Even so many tokens overflow the stack if each opens a list.
          if (error instanceof RangeError) {
            throw new GraphQLError("The document is nested too deeply.", { extensions });
          }
          if (!(error instanceof GraphQLError)) throw error;
          const { message, source, positions } = error;
          throw new GraphQLError(message, { source, positions, extensions });
        }
      });
    },
    onValidate({ addValidationRule, setValidationFn }) {
      addValidationRule(limitNesting);
      addValidationRule(limitRepetition);
      addValidationRule(limitAttempts);
      if (hasIntrospection) return;
      addValidationRule(NoSchemaIntrospectionCustomRule);
      // A schema can be put together from what errors suggest.
      setValidationFn((schema: GraphQLSchema, document: DocumentNode, rules: readonly ValidationRule[]) =>
        validate(schema, document, rules, { hideSuggestions: true }),
      );
    },
  };
}

/** A validation rule: how deep fields may nest and how many there may be, with fragments put in place. */
function limitNesting(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      let fields = 0;

      /** Says what is exceeded, or nothing. `within` are the fragments around, of which none may hold itself. */
      function exceeded(
        { selections }: SelectionSetNode,
        depth: number,
        within: ReadonlySet<string>,
      ): string | undefined {
        if (depth > MAX_DEPTH) return `more than ${MAX_DEPTH} levels of fields`;
        for (const selection of selections) {
          let found: string | undefined;
          if (selection.kind === "Field") {
            fields += 1;
            if (fields > MAX_FIELDS) return `more than ${MAX_FIELDS} fields`;
            // What the schema tells of itself has a limit of its own in graphql's rules.
            if (!selection.selectionSet || selection.name.value.startsWith("__")) continue;
            found = exceeded(selection.selectionSet, depth + 1, within);
          } else if (selection.kind === "InlineFragment") {
            found = exceeded(selection.selectionSet, depth, within);
          } else {
            const name = selection.name.value;
            const fragment = context.getFragment(name);
            if (!fragment || within.has(name)) continue;
            found = exceeded(fragment.selectionSet, depth, new Set([...within, name]));
          }
          if (found) return found;
        }
        return undefined;
      }

      const reason = exceeded(operation.selectionSet, 1, new Set());
      if (reason) context.reportError(limitExceeded(reason, operation));
    },
  };
}

/** A validation rule: how often a document may ask for the same thing by other names, and how many directives it has. */
function limitRepetition(context: ValidationContext): ASTVisitor {
  let aliases = 0;
  let directives = 0;
  return {
    Field(field) {
      if (!field.alias) return;
      aliases += 1;
      if (aliases === MAX_ALIASES + 1) {
        context.reportError(limitExceeded(`more than ${MAX_ALIASES} aliases`, field));
      }
    },
    Directive(directive) {
      directives += 1;
      if (directives === MAX_DIRECTIVES + 1) {
        context.reportError(limitExceeded(`more than ${MAX_DIRECTIVES} directives`, directive));
      }
    },
  };
}

/** A validation rule: at most one attempt at a password in each operation, whatever its alias or fragment. */
function limitAttempts(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      if (operation.operation !== "mutation") return;
      const attempts = new Set<FieldNode>();
      const seen = new Set<string>();
      function collect({ selections }: SelectionSetNode): void {
        for (const selection of selections) {
          if (selection.kind === "Field") {
            if (ATTEMPTS.includes(selection.name.value)) attempts.add(selection);
          } else if (selection.kind === "InlineFragment") {
            collect(selection.selectionSet);
          } else if (!seen.has(selection.name.value)) {
            seen.add(selection.name.value);
            const fragment = context.getFragment(selection.name.value);
            if (fragment) collect(fragment.selectionSet);
          }
        }
      }
      collect(operation.selectionSet);
      if (attempts.size > 1)
        context.reportError(limitExceeded(`more than one of ${ATTEMPTS.join(", ")}`, operation));
    },
  };
}
