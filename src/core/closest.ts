/**
 * What a person probably meant by a word that is none of those allowed; nothing rather than a guess,
 * because a wrong suggestion costs more time than none.
 *
 * @module
 */
import { suggestionsMax } from "./limits.ts";

/** Words of the field that we have others for: by their lower case, the words that may be meant. */
export type Aliases = Readonly<Record<string, readonly string[]>>;

/**
 * In this order: what the field's word means here, what has the word as a part, as `vllm-queue-depth`
 * has `vllm`, and what differs by a typing error. Case does not matter.
 *
 * @returns Some of `words`; empty where none is near, or so many that they say nothing.
 */
export function suggestions(
  word: string,
  words: readonly string[],
  aliases: Aliases = {},
): readonly string[] {
  const lower = word.toLowerCase();
  const meant = Object.hasOwn(aliases, lower) ? (aliases[lower] ?? []) : [];
  const known = meant.filter((name) => words.includes(name));
  if (known.length > 0) return known;
  const parts = partsOf(word);
  const [first] = parts;
  const containing = words.filter(
    (name) =>
      // Cheap, and true of few: whoever can call may send many words.
      first !== undefined && name.toLowerCase().includes(first) && hasParts(partsOf(name), parts),
  );
  const found = containing.length > 0 ? containing : nearest(lower, words);
  return found.length <= suggestionsMax ? found : [];
}

/** How the refusal of a word ends: `; did you mean max?`, or nothing where no word is near. */
export function didYouMean(
  word: string,
  words: readonly string[],
  aliases?: Aliases | undefined,
): string {
  const near = suggestions(word, words, aliases);
  return near.length === 0 ? "" : `; did you mean ${orList(near)}?`;
}

/** `a`, `a or b`, `a, b or c`. */
export function orList(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}

/** All that are nearest, in their order: an error in every third letter is no typing error. */
function nearest(lower: string, words: readonly string[]): readonly string[] {
  let least = Number.POSITIVE_INFINITY;
  let near: string[] = [];
  for (const name of words) {
    const length = Math.max(lower.length, name.length);
    const most = Math.max(Math.min(1, length - 2), Math.floor(length / 3));
    if (Math.abs(lower.length - name.length) > most) continue;
    const edits = editsBetween(lower, name.toLowerCase(), Math.min(most, least));
    if (edits === undefined) continue;
    near = edits < least ? [name] : [...near, name];
    least = edits;
  }
  return near;
}

/**
 * Letters to insert, remove or replace, and neighbours to exchange, to make one word the other.
 *
 * @returns `undefined` for more than `most`.
 */
function editsBetween(one: string, other: string, most: number): number | undefined {
  let before: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row += 1) {
    const next = nextRow(one, other, row, { before, last });
    // An exchange reaches back over one row.
    if (Math.min(...next) > most + 1) return undefined;
    [before, last] = [last, next];
  }
  const edits = last[other.length] ?? 0;
  return edits <= most ? edits : undefined;
}

/** Edits from the first `row` letters of one word to each beginning of the other. */
function nextRow(
  one: string,
  other: string,
  row: number,
  { before, last }: { readonly before: readonly number[]; readonly last: readonly number[] },
): readonly number[] {
  const next = [row];
  for (let column = 1; column <= other.length; column += 1) {
    const cost = one[row - 1] === other[column - 1] ? 0 : 1;
    const isExchange = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
    next.push(
      Math.min(
        (last[column - 1] ?? 0) + cost,
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        isExchange ? (before[column - 2] ?? 0) + 1 : row + column,
      ),
    );
  }
  return next;
}

/** `queueDepth`, `queue-depth` and `queue_depth` have the same. */
function partsOf(word: string): readonly string[] {
  return (word.match(/[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*|\d+/g) ?? []).map((part) =>
    part.toLowerCase(),
  );
}

/** Whether `parts` stand in `all`, one after the other. A letter or two are in too many words. */
function hasParts(all: readonly string[], parts: readonly string[]): boolean {
  if (parts.join("").length < 3) return false;
  return all.some((_, start) => parts.every((part, index) => all[start + index] === part));
}
