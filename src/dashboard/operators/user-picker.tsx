import { Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import { UsersDocument } from "../../client/generated/graphql.ts";
import { useLiveQuery } from "../data.tsx";

const TYPING_MS = 250;

/** Finds a user by a part of the name or the email. */
export function UserPicker({
  label,
  onChange,
}: {
  readonly label: string;
  /** With the user's id; undefined: nobody in particular. */
  readonly onChange: (userId: string | undefined) => void;
}): ReactNode {
  const [text, setText] = useState("");
  const [search] = useDebouncedValue(text, TYPING_MS);
  const { data } = useLiveQuery(UsersDocument, { first: 20, search: search || null }, () => false);
  return (
    <Select
      label={label}
      placeholder="Anybody"
      searchable
      clearable
      searchValue={text}
      onSearchChange={setText}
      onChange={(value) => onChange(value ?? undefined)}
      // The service has looked already, also in what is not shown.
      filter={({ options }) => options}
      data={(data?.users.edges ?? []).map(({ node }) => ({
        value: node.id,
        label: `${node.name} (${node.email})`,
      }))}
      nothingFoundMessage="Nobody"
    />
  );
}
