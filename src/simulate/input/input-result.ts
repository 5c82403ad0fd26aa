/** What was read out of a file, or everything that is wrong with it, each with its line and rule. */
export type InputResult<Value> =
  | { readonly value: Value; readonly problems?: never }
  | { readonly problems: readonly string[]; readonly value?: never };
