import {
  type ASTVisitor,
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isInterfaceType,
  isListType,
  isObjectType,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
  validate,
} from "graphql";
import type { Plugin } from "graphql-yoga";

/** Far more than any operation needs; a nesting that overflows the parser's stack needs more. */
const MAX_TOKENS = 2_000;
/** How deep fields may nest. The deepest page of users with their sessions needs six. */
const MAX_DEPTH = 12;
/** How many lists may stand in one another: each multiplies the work by what the one above holds. */
const MAX_NESTED_LISTS = 3;
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

/** A validation rule: how deep fields and lists may nest, with fragments put in place. */
function limitNesting(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      const root = context.getSchema().getRootType(operation.operation);
      let fields = 0;

      /** Says what is exceeded, or nothing. `within` are the fragments around, of which none may hold itself. */
      function exceeded(
        { selections }: SelectionSetNode,
        parent: GraphQLNamedType | null | undefined,
        depth: number,
        lists: number,
        within: ReadonlySet<string>,
      ): string | undefined {
        if (depth > MAX_DEPTH) return `more than ${MAX_DEPTH} levels of fields`;
        if (lists > MAX_NESTED_LISTS) return `more than ${MAX_NESTED_LISTS} lists within one another`;
        for (const selection of selections) {
          let found: string | undefined;
          if (selection.kind === "Field") {
            fields += 1;
            if (fields > MAX_FIELDS) return `more than ${MAX_FIELDS} fields`;
            // What the schema tells of itself has a limit of its own in graphql's rules.
            if (!selection.selectionSet || selection.name.value.startsWith("__")) continue;
            const hasFields = isObjectType(parent) || isInterfaceType(parent);
            const type = hasFields ? parent.getFields()[selection.name.value]?.type : undefined;
            const isList = type !== undefined && isListType(getNullableType(type));
            const inner = type && getNamedType(type);
            found = exceeded(selection.selectionSet, inner, depth + 1, lists + (isList ? 1 : 0), within);
          } else if (selection.kind === "InlineFragment") {
            const name = selection.typeCondition?.name.value;
            const type = name === undefined ? parent : context.getSchema().getType(name);
            found = exceeded(selection.selectionSet, type, depth, lists, within);
          } else {
            const name = selection.name.value;
            const fragment = context.getFragment(name);
            if (!fragment || within.has(name)) continue;
            const type = context.getSchema().getType(fragment.typeCondition.name.value);
            found = exceeded(fragment.selectionSet, type, depth, lists, new Set([...within, name]));
          }
          if (found) return found;
        }
        return undefined;
      }

      const reason = exceeded(operation.selectionSet, root, 1, 0, new Set());
      if (reason) context.reportError(limitExceeded(operation, reason));
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
        context.reportError(limitExceeded(operation, `more than one of ${ATTEMPTS.join(", ")}`));
    },
  };
}

function limitExceeded(operation: OperationDefinitionNode, reason: string): GraphQLError {
  const extensions = { code: "LIMIT_EXCEEDED", http: { status: 400, spec: true } };
  return new GraphQLError(`The operation has ${reason}. Ask for less at a time.`, {
    nodes: operation,
    extensions,
  });
}
