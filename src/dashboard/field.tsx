import { PasswordInput, TextInput } from "@mantine/core";
import type { ReactNode } from "react";

/** What a field is for: password managers go by it. */
const KINDS = {
  email: { type: "email", autoComplete: "username" },
  name: { type: "text", autoComplete: "name" },
  currentPassword: { autoComplete: "current-password" },
  newPassword: { autoComplete: "new-password" },
} as const;

/** A field that has to be filled in, with what is wrong with it. */
export function Field({
  kind,
  onChange,
  isFirst = false,
  ...rest
}: {
  readonly kind: keyof typeof KINDS;
  readonly label: string;
  readonly description?: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly error?: string | undefined;
  /** Whether a dialog that opens puts the cursor here. */
  readonly isFirst?: boolean;
}): ReactNode {
  const Input = kind === "email" || kind === "name" ? TextInput : PasswordInput;
  return (
    <Input
      {...KINDS[kind]}
      {...rest}
      {...(isFirst ? { "data-autofocus": true } : {})}
      required
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
