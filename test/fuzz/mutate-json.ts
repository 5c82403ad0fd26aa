/**
 * Mutations of JSON by its structure: members dropped, renamed, doubled, exchanged, nested.
 *
 * @module
 */
import type { Draws } from "./draws.ts";
import { mutateText, oddNumber, oddText } from "./mutate-bytes.ts";
import type { Mutate } from "./target.ts";

type Tree = Record<string, unknown> | unknown[];

/**
 * @param words Keys and texts that the reader knows.
 * @param isTyped Whether a value keeps its type, as an API server with a schema takes care of.
 */
export function mutateJson(words: readonly string[], isTyped = false): Mutate {
  const asText = mutateText(words);
  return (draws, input, other) => {
    const tree = parsed(input);
    if (tree === undefined || (!isTyped && draws.oneIn(8))) return asText(draws, input, other);
    const donor = parsed(other) ?? {};
    for (let count = draws.few(4); count >= 0; count -= 1) {
      const trees = treesIn(tree);
      change(draws, draws.of(trees), draws.of(treesIn(donor)), { words, asText, isTyped });
    }
    return Buffer.from(JSON.stringify(tree));
  };
}

function parsed(input: Buffer): Tree | undefined {
  try {
    const value: unknown = JSON.parse(input.toString());
    return typeof value === "object" && value !== null ? (value as Tree) : undefined;
  } catch {
    // A text that no longer is JSON is mutated as one.
    return undefined;
  }
}

/** Every object and array, the outermost first. */
function treesIn(tree: Tree): readonly Tree[] {
  const inside = Object.values(tree).filter(
    (value): value is Tree => typeof value === "object" && value !== null,
  );
  return [tree, ...inside.flatMap(treesIn)];
}

interface Changes {
  readonly words: readonly string[];
  readonly asText: Mutate;
  readonly isTyped: boolean;
}

function change(draws: Draws, tree: Tree, donor: Tree, changes: Changes): void {
  const { words, isTyped } = changes;
  const keys = Object.keys(tree);
  const members = tree as Record<string, unknown>;
  const key = keys.length === 0 ? "0" : draws.of(keys);
  const donorKeys = Object.keys(donor);
  const edits: readonly (() => void)[] = [
    () => remove(tree, key),
    () => {
      if (keys.length > 0) members[key] = otherOfType(draws, members[key], changes);
    },
    () => {
      if (Array.isArray(tree) && keys.length > 0)
        tree.push(structuredClone(tree[draws.below(tree.length)]));
    },
    () =>
      define(members, draws.oneIn(2) ? draws.of(words) : oddText(draws), anyValue(draws, words)),
    () => {
      if (donorKeys.length === 0) return;
      const from = draws.of(donorKeys);
      const taken = (donor as Record<string, unknown>)[from];
      define(members, Array.isArray(tree) ? key : from, structuredClone(taken));
    },
    () => define(members, key, { [draws.of(words)]: members[key] }),
    () => define(members, key, [members[key], members[key]]),
    () => define(members, key, anyValue(draws, words)),
  ];
  draws.of(isTyped ? edits.slice(0, 3) : edits)();
}

function remove(tree: Tree, key: string): void {
  if (Array.isArray(tree)) tree.splice(Number(key), 1);
  else delete tree[key];
}

/** As JSON.parse() does it: `__proto__` is a key like others. */
function define(members: object, key: string, value: unknown): void {
  if (Array.isArray(members) && !/^\d+$/.test(key)) {
    members.push(value);
    return;
  }
  Object.defineProperty(members, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

function otherOfType(draws: Draws, value: unknown, { words, asText }: Changes): unknown {
  if (typeof value === "string") {
    if (draws.oneIn(3)) return draws.oneIn(2) ? draws.of(words) : oddText(draws);
    return asText(draws, Buffer.from(value), Buffer.from(draws.of(words))).toString();
  }
  if (typeof value === "number")
    return draws.of([0, 1, -1, 2, 100, 2 ** 31 - 1, -(2 ** 31), 0.5, value + 1, value * 2]);
  if (typeof value === "boolean") return !value;
  return value;
}

function anyValue(draws: Draws, words: readonly string[]): unknown {
  return draws.of<() => unknown>([
    () => null,
    () => draws.oneIn(2),
    () => Number(oddNumber(draws)),
    () => oddNumber(draws),
    () => oddText(draws),
    () => draws.of(words),
    () => [],
    () => ({}),
    () => [draws.of(words), null],
    () => ({ [draws.of(words)]: draws.of(words) }),
  ])();
}
