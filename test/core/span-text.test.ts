import { expect, test } from "bun:test";
import { spanText } from "#core/span-text.ts";

test.each([
  [-5, "0 s"],
  [1_499, "1 s"],
  [89_000, "89 s"],
  [90_000, "2 min"],
  [5_399_000, "90 min"],
  [5_400_000, "2 h"],
  [47 * 3_600_000, "47 h"],
  [48 * 3_600_000, "2 d"],
])("%d ms are %s", (ms, text) => {
  expect(spanText(ms)).toBe(text);
});
