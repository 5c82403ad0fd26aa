import { expect, test } from "bun:test";
import { bucketBytes, notFiniteBytes, scrapeBytes } from "#core/limits.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { seriesTable } from "#engine/page/series.ts";
import { countedTable, keptBytes } from "#engine/scrape/kept-bytes.ts";

test("countedTable() says what each new series takes, before the next one comes", () => {
  const table = seriesTable();
  const added: number[] = [];
  const counted = countedTable(table, { add: (bytes) => added.push(bytes) });
  counted.intern("a", `a{x="1"}`);
  counted.intern("a", `a{x="1"}`);
  counted.internLabels("b", { x: "2" });
  expect(added).toHaveLength(2);
  expect(added[0] ?? 0).toBeGreaterThan(0);
  expect((added[0] ?? 0) + (added[1] ?? 0)).toBe(table.bytes());
});

test("keptBytes() counts the series, each scrape of them, and what was made of them", () => {
  const table = seriesTable();
  table.intern("a", "a");
  const scrape = { atMs: 0, values: new Float64Array(10), filter: nameFilter(["a"]) };
  const history = (notFinite: ReadonlyMap<number, number>) => ({
    table,
    scrapes: [scrape, { ...scrape, notFinite }],
  });
  const buckets = [{ le: 1, count: 2 }];
  const observations = { kind: "buckets", q: 0.5, scale: 1, buckets } as const;
  expect(keptBytes(history(new Map()), [])).toBe(table.bytes() + 2 * (scrapeBytes + 80));
  expect(
    keptBytes(history(new Map([[0, Number.NaN]])), [{ value: 1, observations }, { value: 1 }]),
  ).toBe(table.bytes() + 2 * (scrapeBytes + 80) + notFiniteBytes + bucketBytes);
});
