import { expect, test } from "bun:test";
import { seriesTable } from "#engine/page/series.ts";

const name = "a_bucket";

test("seriesTable() keeps one text of a series, however often a page spells it anew", () => {
  const table = seriesTable();
  const text = (blanks: number) => `a_bucket{${" ".repeat(blanks)}le="1"}`;
  const first = table.intern(name, text(0));
  const bytes = table.bytes();
  for (let blanks = 1; blanks <= 1_000; blanks += 1)
    expect(table.intern(name, text(blanks))).toBe(first);
  expect(table.bytes()).toBe(bytes + 1_000);
  table.intern(name, text(0));
  expect(table.bytes()).toBe(bytes);
});

test("seriesTable() counts what labels take once for the buckets of a histogram", () => {
  const table = seriesTable();
  const model = "m".repeat(1_000);
  const bucket = (le: string) => table.intern(name, `a_bucket{model="${model}",le="${le}"}`);
  const first = bucket("1");
  const bytes = table.bytes();
  expect(bytes).toBeGreaterThan(4_000);
  const second = bucket("2");
  expect(table.bytes() - bytes).toBeLessThan(2_000);
  expect([first, second].map((series) => series?.labels)).toEqual([
    { model, le: "1" },
    { model, le: "2" },
  ]);
  expect(second?.group).toBe(first?.group ?? "");
});
