import { Alert, Button, Card, Stack, Title } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";
import { RefusedError, SignedOutError, UnavailableError } from "../client/core.ts";

/** What the service said was wrong: with one field, or with all together. */
export interface FormProblem {
  readonly message: string;
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
}

/** A form that is sent once at a time. `send` gives back what is wrong, or nothing. */
export function useSending(send: () => Promise<FormProblem | undefined>) {
  const [problem, setProblem] = useState<FormProblem>();
  const [isSending, setSending] = useState(false);
  async function submit(event?: FormEvent): Promise<void> {
    event?.preventDefault();
    setSending(true);
    setProblem(undefined);
    try {
      setProblem(await send());
    } catch (error) {
      setProblem({ message: explain(error) });
    } finally {
      setSending(false);
    }
  }
  /** What is wrong with one field of the input. */
  const issue = (field: string) => problem?.issues?.find(({ path }) => path === `input.${field}`)?.message;
  return { submit, isSending, problem, issue };
}

/** What went wrong, for people. */
export function explain(error: unknown): string {
  if (error instanceof UnavailableError) return "The service cannot be reached. Try again in a moment.";
  if (error instanceof SignedOutError) return "You were logged out meanwhile.";
  if (error instanceof RefusedError) return error.message;
  return "Something went wrong. Try again.";
}

/** A card with a form: what is wrong is read out, and stands above the button. */
export function FormCard({
  title,
  action,
  sending,
  children,
  footer,
}: {
  readonly title: string;
  readonly action: string;
  readonly sending: ReturnType<typeof useSending>;
  readonly children: ReactNode;
  readonly footer?: ReactNode;
}): ReactNode {
  const { submit, isSending, problem } = sending;
  return (
    <Card withBorder padding="lg" w="100%" maw={440} mx="auto">
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <Title order={2} size="h3">
            {title}
          </Title>
          {children}
          <div aria-live="assertive">
            {problem && !problem.issues && (
              <Alert color="red" role="alert">
                {problem.message}
              </Alert>
            )}
          </div>
          <Button type="submit" loading={isSending}>
            {action}
          </Button>
          {footer}
        </Stack>
      </form>
    </Card>
  );
}

/** A page that has only something to say. */
export function Notice({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <Card withBorder padding="lg" w="100%" maw={440} mx="auto">
      <Stack role="status">
        <Title order={2} size="h3">
          {title}
        </Title>
        {children}
      </Stack>
    </Card>
  );
}

/** The secret of the mail's link that led here. Behind the # it is sent to no server, and the address bar forgets it. */
export const linkToken = takeLinkToken();

function takeLinkToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (token) history.replaceState(null, "", location.pathname);
  return token;
}
