import { describe, expect, test } from "bun:test";
import { nameFilter } from "#engine/page/name-filter.ts";
import { seriesTable } from "#engine/page/series.ts";
import { type ScrapeHistory, valueIn, windowOf, withScrape } from "#engine/signal/history.ts";

const filter = nameFilter(["a"]);
const empty = (): ScrapeHistory => ({ table: seriesTable(), scrapes: [] });

/** A scrape of one series for each label value. */
function add(
  history: ScrapeHistory,
  atMs: number,
  values: Readonly<Record<string, number>>,
): ScrapeHistory {
  const ids = Object.entries(values).map(
    ([pid, value]) => [history.table.internLabels("a", { pid }).id, value] as const,
  );
  const columns = new Float64Array(history.table.size()).fill(Number.NaN);
  for (const [id, value] of ids) columns[id] = value;
  return withScrape(history, { atMs, values: columns, filter, types: new Map() }, 10_000);
}

describe("withScrape()", () => {
  test("keeps what is no older than asked, the newest last", () => {
    let history = empty();
    for (const atMs of [0, 4_000, 8_000, 12_000]) history = add(history, atMs, { x: atMs });
    expect(history.scrapes.map(({ atMs }) => atMs)).toEqual([4_000, 8_000, 12_000]);
    expect(windowOf(history, 4_000).map(({ atMs }) => atMs)).toEqual([8_000, 12_000]);
  });

  test("forgets series that are gone, and keeps the values of the others", () => {
    let history = empty();
    for (let turn = 0; turn < 40; turn += 1) {
      const many = Array.from({ length: 100 }, (_, at) => [`${turn}-${at}`, at + 1] as const);
      history = add(history, turn * 1_000, { ...Object.fromEntries(many), steady: turn });
      expect(history.table.size()).toBeLessThan(2_500);
    }
    const steady = history.table.byName("a").find(({ labels: { pid } }) => pid === "steady");
    const values = history.scrapes.map((scrape) => steady && valueIn(scrape, steady));
    expect(values).toEqual(Array.from({ length: 11 }, (_, at) => 29 + at));
    const sum = [...(history.scrapes.at(-1)?.values ?? [])].filter((value) => !Number.isNaN(value));
    expect(sum.reduce((total, value) => total + value, 0)).toBe(5_050 + 39);
  });
});
