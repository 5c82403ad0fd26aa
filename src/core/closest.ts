import { distance } from "fastest-levenshtein";

/**
 * The word that a person probably meant, whatever its case.
 *
 * @returns `undefined` when none is near: a far guess misleads more than it helps.
 */
export function closest(word: string, words: readonly string[]): string | undefined {
  const editsMost = Math.max(2, Math.floor(word.length / 3));
  const [nearest] = words
    .map((known) => ({ known, edits: distance(word.toLowerCase(), known.toLowerCase()) }))
    .filter(({ edits }) => edits <= editsMost)
    .sort((left, right) => left.edits - right.edits);
  return nearest?.known;
}

/** How the refusal of a word ends: `; did you mean max?`, or nothing where no word is near. */
export function didYouMean(word: string, words: readonly string[]): string {
  const near = closest(word, words);
  return near === undefined ? "" : `; did you mean ${near}?`;
}
