import { distance, closest as nearest } from "fastest-levenshtein";

/**
 * The word that a person probably meant.
 *
 * @returns `undefined` when none is near: a far guess misleads more than it helps.
 */
export function closest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const near = nearest(word.toLowerCase(), words);
  const editsMost = Math.max(2, Math.floor(word.length / 3));
  return distance(word.toLowerCase(), near.toLowerCase()) <= editsMost ? near : undefined;
}
