import { describe, expect, test } from "bun:test";
import { quantityOf } from "#kubernetes/quantity.ts";
import { processorMs } from "../support/processor-time.ts";

describe("a quantity", () => {
  test.each([
    ["0.05", 0.05],
    ["50m", 0.05],
    ["5e-2", 0.05],
    ["1.", 1],
    ["+.5", 0.5],
    ["2k", 2_000],
    [0.2, 0.2],
    ["1Ki", undefined],
    [".", undefined],
    ["1.2.3", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("%p is %p", (raw, value) => expect(quantityOf(raw)).toBe(value as never));

  test("that is long costs no more than it is long", () => {
    const long = `${"1".repeat(64 * 1024)}x`;
    expect(processorMs(() => quantityOf(long))).toBeLessThan(500);
  });
});
