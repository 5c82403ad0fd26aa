/**
 * Mutations of a protobuf message by its fields: dropped, doubled, moved, of another number or type, of
 * a value at an edge, of a length that is not theirs.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Draws } from "./draws.ts";
import { inputBytesMax, mutateBytes, oddText } from "./mutate-bytes.ts";
import type { Mutate } from "./target.ts";

interface Field {
  readonly number: number;
  readonly type: number;
  readonly body: Buffer;
  /** What its length says where that is a lie. */
  readonly length?: number;
}

const edges = [
  0n,
  1n,
  2n,
  127n,
  128n,
  65_535n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 64n - 1n,
];

/** @param words Texts that the reader knows. */
export function mutateProtobuf(message: DescMessage, words: readonly string[]): Mutate {
  return (draws, input, other) => {
    if (draws.oneIn(6)) return mutateBytes(draws, input, other);
    let result = input;
    for (let count = draws.few(4); count >= 0; count -= 1)
      result = mutated(draws, result, other, { message, words });
    return result.subarray(0, inputBytesMax);
  };
}

interface Shape {
  readonly message: DescMessage;
  readonly words: readonly string[];
}

function mutated(draws: Draws, input: Buffer, other: Buffer, shape: Shape): Buffer {
  const { message, words } = shape;
  const fields = fieldsOf(input);
  if (fields === undefined) return mutateBytes(draws, input, other);
  const at = draws.below(fields.length + 1);
  const field = fields[at];
  if (field === undefined || draws.oneIn(8)) return encoded([...fields, newField(draws, shape)]);
  const inner = messageIn(message.fields.find(({ number }) => number === field.number));
  // Most of a message is inside its parts.
  if (inner !== undefined && !draws.oneIn(3)) {
    const body = mutated(draws, field.body, other, { message: inner, words });
    return encoded(fields.with(at, { ...field, body }));
  }
  const others = fieldsOf(other) ?? [];
  const edits: readonly (() => readonly Field[])[] = [
    () => fields.toSpliced(at, 1),
    () => fields.toSpliced(at, 0, ...Array.from({ length: 1 + draws.few(40) }, () => field)),
    () => fields.toSorted(() => draws.below(3) - 1),
    () => fields.with(at, { ...field, number: 1 + draws.below(20) }),
    () => fields.with(at, { ...field, type: draws.of([0, 1, 2, 3, 4, 5, 6, 7]) }),
    () => fields.with(at, { ...field, length: draws.of([0, 1, 127, 0xffff, 0x7fffffff]) }),
    () => fields.with(at, { ...field, body: newBody(draws, field.type, words) }),
    () => fields.with(at, { ...field, body: mutateBytes(draws, field.body, other) }),
    () => (others.length === 0 ? fields : fields.toSpliced(at, 0, draws.of(others))),
  ];
  return encoded(draws.of(edits)());
}

function messageIn(field: DescField | undefined): DescMessage | undefined {
  if (field?.fieldKind === "message") return field.message;
  if (field?.fieldKind === "list" && field.listKind === "message") return field.message;
  return undefined;
}

function newField(draws: Draws, { message, words }: Shape): Field {
  const known = message.fields.length > 0 ? draws.of(message.fields).number : 1;
  const type = draws.of([0, 1, 2, 2, 5]);
  return {
    number: draws.oneIn(6) ? 1 + draws.below(2_000) : known,
    type,
    body: newBody(draws, type, words),
  };
}

function newBody(draws: Draws, type: number, words: readonly string[]): Buffer {
  if (type === 0) return varint(draws.of(edges));
  if (type === 1 || type === 5) {
    const width = type === 1 ? 8 : 4;
    const odd = Buffer.alloc(8);
    odd.writeDoubleLE(
      draws.of([0, -1, 101, Number.NaN, Number.POSITIVE_INFINITY, 5e-324, 2 ** 53]),
    );
    return odd.subarray(8 - width);
  }
  return Buffer.from(draws.oneIn(2) ? draws.of(words) : oddText(draws));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

function encoded(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(({ number, type, body, length }) => {
      const tag = varint((BigInt(number) << 3n) | BigInt(type));
      return type === 2 ? [tag, varint(BigInt(length ?? body.length)), body] : [tag, body];
    }),
  );
}

/** The fields of a message; `undefined` where it is none. */
function fieldsOf(input: Buffer): readonly Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < input.length; ) {
    const tag = varintAt(input, at);
    if (tag === undefined) return undefined;
    const [number, type] = [Number(tag.value >> 3n), Number(tag.value & 7n)];
    const size = sizeAt(input, tag.end, type);
    if (size === undefined || size.end > input.length) return undefined;
    fields.push({ number, type, body: input.subarray(size.start, size.end) });
    at = size.end;
  }
  return fields;
}

function sizeAt(input: Buffer, start: number, type: number) {
  if (type === 1) return { start, end: start + 8 };
  if (type === 5) return { start, end: start + 4 };
  const number = varintAt(input, start);
  if (number === undefined) return undefined;
  if (type === 0) return { start, end: number.end };
  return type === 2 ? { start: number.end, end: number.end + Number(number.value) } : undefined;
}

function varintAt(input: Buffer, start: number) {
  let value = 0n;
  for (let at = start; at < Math.min(start + 10, input.length); at += 1) {
    const byte = input[at] ?? 0;
    value |= BigInt(byte & 0x7f) << BigInt(7 * (at - start));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}
