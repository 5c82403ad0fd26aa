/**
 * Mutations of bytes that nobody understands, and of text with words of its grammar.
 *
 * @module
 */
import type { Draws } from "./draws.ts";
import type { Mutate } from "./target.ts";

/** Longer inputs find little and cost much. */
export const inputBytesMax = 64 * 1024;

const oddNumbers = [
  "0",
  "-0",
  "-1",
  "1",
  "0.0005",
  "255",
  "256",
  "65535",
  "65536",
  "2147483647",
  "2147483648",
  "4294967295",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "18446744073709551615",
  "1e308",
  "1e309",
  "1e-324",
  "-1e309",
  "NaN",
  "Inf",
  "-Inf",
  ".nan",
  ".inf",
  "0x1p4",
  "0x",
  "1_000",
  "٣",
] as const;

const oddTexts = [
  "",
  " ",
  "\n",
  "\r\n",
  "\0",
  "\uFEFF",
  "\u2028",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "\\",
  '"',
  "'",
  "`",
  "$(x)",
  "../",
  "%2e%2e",
  "é",
  "模",
  "😀",
  "\uD800",
  "a".repeat(64),
  "x".repeat(300),
] as const;

type Edit = (draws: Draws, input: Buffer, other: Buffer) => Buffer;

function spliced(input: Buffer, from: number, to: number, between: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, from), between, input.subarray(to)]);
}

function rangeIn(draws: Draws, { length }: Buffer): readonly [number, number] {
  const from = draws.below(length + 1);
  return [from, Math.min(from + 1 + draws.few(length), length)];
}

const edits: readonly Edit[] = [
  (draws, input) => changed(input, draws, (byte) => byte ^ (1 << draws.below(8))),
  (draws, input) => changed(input, draws, () => draws.of([0, 1, 0x7f, 0x80, 0xff])),
  (draws, input) => changed(input, draws, (byte) => byte + (draws.oneIn(2) ? 1 : 255)),
  (draws, input) => spliced(input, ...rangeIn(draws, input), Buffer.alloc(0)),
  (draws, input) => input.subarray(0, draws.below(input.length + 1)),
  (draws, input) => {
    const at = draws.below(input.length + 1);
    return spliced(input, at, at, input.subarray(...rangeIn(draws, input)));
  },
  (draws, input, other) =>
    spliced(input, ...rangeIn(draws, input), other.subarray(...rangeIn(draws, other))),
  // So often that whatever takes the square of a length is seen.
  (draws, input) => {
    const [from, to] = rangeIn(draws, input);
    const part = input.subarray(from, Math.min(to, from + 8));
    const count = draws.oneIn(20) ? draws.below(inputBytesMax / 4) : draws.few(40);
    return spliced(input, from, to, Buffer.concat(Array.from({ length: count }, () => part)));
  },
  (draws, input) => {
    const at = draws.below(input.length + 1);
    const random = Buffer.from(Array.from({ length: 1 + draws.few(16) }, () => draws.below(256)));
    return spliced(input, at, at, random);
  },
];

function changed(input: Buffer, draws: Draws, change: (byte: number) => number): Buffer {
  if (input.length === 0) return input;
  const copy = Buffer.from(input);
  const at = draws.below(copy.length);
  copy[at] = change(copy[at] ?? 0);
  return copy;
}

/** Bits, bytes and ranges, from one to a few of them at once. */
export const mutateBytes: Mutate = (draws, input, other) => {
  let result = input;
  for (let count = draws.few(4); count >= 0; count -= 1)
    result = draws.of(edits)(draws, result, other);
  return result.subarray(0, inputBytesMax);
};

/** The same, with whole words: the grammar's own, numbers at their edges, and what breaks text. */
export function mutateText(words: readonly string[]): Mutate {
  const word = (draws: Draws) =>
    Buffer.from(draws.of([() => draws.of(words), () => oddNumber(draws), () => oddText(draws)])());
  const wordEdits: readonly Edit[] = [
    (draws, input) => {
      const at = draws.below(input.length + 1);
      return spliced(input, at, at, word(draws));
    },
    (draws, input) => spliced(input, ...wordIn(draws, input), word(draws)),
    (draws, input, other) =>
      spliced(input, ...wordIn(draws, input), other.subarray(...wordIn(draws, other))),
  ];
  return (draws, input, other) => {
    if (draws.oneIn(3)) return mutateBytes(draws, input, other);
    let result = input;
    for (let count = draws.few(4); count >= 0; count -= 1)
      result = draws.of(wordEdits)(draws, result, other);
    return result.subarray(0, inputBytesMax);
  };
}

const wordByte = (byte: number | undefined) =>
  byte !== undefined && (/[\w.]/.test(String.fromCharCode(byte)) || byte >= 0x80);

/** Where a word is; anywhere, where there is none. */
function wordIn(draws: Draws, input: Buffer): readonly [number, number] {
  let from = draws.below(input.length + 1);
  while (from > 0 && wordByte(input[from - 1])) from -= 1;
  let to = from;
  while (wordByte(input[to])) to += 1;
  return [from, to];
}

export function oddNumber(draws: Draws): string {
  return draws.of(oddNumbers);
}
export function oddText(draws: Draws): string {
  return draws.of(oddTexts);
}
