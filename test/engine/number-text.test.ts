import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { pageLineBytesMax } from "#core/limits.ts";
import { parseNumber, parseNumberBytes } from "#engine/page/number-text.ts";
import { processorMs } from "../support/processor-time.ts";

/** As Go's ParseFloat reads them. */
const numbers: readonly (readonly [string, number | undefined])[] = [
  ["1", 1],
  ["+1", 1],
  ["-1.50", -1.5],
  [".5", 0.5],
  ["5.", 5],
  ["1e3", 1_000],
  ["1E-3", 0.001],
  ["123456789012345678", 123_456_789_012_345_680],
  ["0.1234567890123456789", 0.123_456_789_012_345_68],
  ["NaN", Number.NaN],
  ["-nan", Number.NaN],
  ["Inf", Infinity],
  ["+inf", Infinity],
  ["-Inf", -Infinity],
  ["-Infinity", -Infinity],
  ["0x10", 16],
  ["-0x1.8p1", -3],
  ["+0x.8", 0.5],
  ["0x1p-2", 0.25],
  ["", undefined],
  [".", undefined],
  ["-", undefined],
  ["1.2.3", undefined],
  ["1_000", undefined],
  ["0x", undefined],
  ["0x.", undefined],
  ["1 ", undefined],
  ["one", undefined],
  ["xNaN", undefined],
  ["infinit", undefined],
];

describe("parseNumber() and parseNumberBytes() read", () => {
  test.each(numbers)("%p as %p", (text, value) => {
    expect(parseNumber(text)).toBe(value as number);
    // Among other bytes, as in a line.
    const line = Buffer.from(`9${text}9`);
    expect(parseNumberBytes(line, 1, line.length - 1)).toBe(value as number);
  });

  test("a decimal of any length as the runtime does", () => {
    const digits = fc.stringMatching(/^\d{1,20}(\.\d{0,20})?$/);
    fc.assert(
      fc.property(digits, (text) => {
        expect(parseNumberBytes(Buffer.from(text), 0, text.length)).toBe(Number(text));
      }),
    );
  });
});

/** As long as a line of a page may be. */
const digits = "1".repeat(pageLineBytesMax);
test.each([
  ["decimal digits", `${digits}x`],
  ["decimal digits behind a point", `.${digits}x`],
  ["an exponent", `1e${digits}x`],
  ["hexadecimal digits", `0x${digits}z`],
])("%s that are no number cost no more than they are long", (_what, text) => {
  const read = () => expect(parseNumber(text)).toBeUndefined();
  // Where each digit was tried as the last one before the point, seconds.
  expect(processorMs(read)).toBeLessThan(500);
});
