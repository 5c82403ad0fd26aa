/**
 * What a target keeps in memory, estimated.
 *
 * @module
 */
import { bucketBytes, notFiniteBytes, scrapeBytes } from "#core/limits.ts";
import type { SeriesTable } from "#engine/page/series.ts";
import type { ScrapeHistory } from "#engine/signal/history.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import type { MemoryUse } from "./memory-budget.ts";

export function keptBytes(history: ScrapeHistory, results: readonly SignalResult[]): number {
  const ofScrapes = history.scrapes.map(
    ({ values, notFinite }) =>
      scrapeBytes + values.byteLength + (notFinite?.size ?? 0) * notFiniteBytes,
  );
  const ofResults = results.map(({ observations }) =>
    observations?.kind === "buckets" ? observations.buckets.length * bucketBytes : 0,
  );
  return [history.table.bytes(), ...ofScrapes, ...ofResults].reduce((sum, bytes) => sum + bytes, 0);
}

/** The same table, which counts each series of a page as it comes: a page may have 20,000 new ones. */
export function countedTable(table: SeriesTable, { add }: Pick<MemoryUse, "add">): SeriesTable {
  const counted = <Result>(intern: () => Result): Result => {
    const before = table.bytes();
    const result = intern();
    const more = table.bytes() - before;
    if (more !== 0) add(more);
    return result;
  };
  return {
    ...table,
    intern: (name, text) => counted(() => table.intern(name, text)),
    internLabels: (spelling, labels) => counted(() => table.internLabels(spelling, labels)),
  };
}
