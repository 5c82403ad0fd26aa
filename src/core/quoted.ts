import { quotedCharsMax } from "./limits.ts";

/** A text of somebody else's in quotes, as a message has it: cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}

/** The same without quotes. */
export function shortened(text: string): string {
  return text.length > quotedCharsMax ? `${text.slice(0, quotedCharsMax)}…` : text;
}
