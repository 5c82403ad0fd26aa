/** Reading fixture pages the way a target scraper does, without the network. */
import { readFileSync } from "node:fs";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { pageSink } from "#engine/page/page.ts";
import { seriesTable } from "#engine/page/series.ts";
import { evaluate } from "#engine/signal/evaluate.ts";
import { type ScrapeHistory, withScrape } from "#engine/signal/history.ts";
import { labelChoice } from "#engine/signal/label-choice.ts";
import type { LatencyState } from "#engine/signal/latency.ts";
import { queryNames, type SignalQuery } from "#engine/signal/query.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import type { SignalName } from "#metric/catalogue.ts";
import { sharedPatterns } from "#metric/label-pattern.ts";

export interface TimedPage {
  readonly atMs: number;
  readonly text: string;
}

export function fixture(name: string): string {
  return readFileSync(new URL(`../fixtures/engines/${name}`, import.meta.url), "utf8");
}

/** The pages of a fixture, one a minute. */
export function pagesOf(name: string): readonly TimedPage[] {
  return fixture(name)
    .split("# 60 s later\n")
    .map((text, at) => ({ atMs: at * 60_000, text }));
}

export function queryFor(
  signal: SignalQuery["signal"],
  more: Partial<SignalQuery> = {},
): SignalQuery {
  return { signal, windowMs: 0, match: [], ...more };
}

export interface Read {
  readonly adapter: Adapter;
  readonly result: SignalResult;
  /** After each page. */
  readonly results: readonly SignalResult[];
}

/**
 * @param engine Absent: found out from the page.
 * @param startedAtMs When the engine started, on the clock of the pages.
 */
export function readPages(
  pages: readonly TimedPage[],
  query: SignalQuery,
  engine?: string,
  startedAtMs?: number,
): Read {
  const named = engine === undefined ? undefined : adapterOf(engine);
  let history: ScrapeHistory = { table: seriesTable(), scrapes: [] };
  let adapter = named;
  let latency: LatencyState = {};
  const results: SignalResult[] = [];
  for (const { atMs, text } of pages) {
    const among = adapter === undefined ? adapters : [adapter];
    const sink = pageSink({
      contentType: "text/plain",
      table: history.table,
      filter: nameFilter(queryNames([query], among)),
      isToIdentify: true,
      adapter: named,
    });
    sink.push(Buffer.from(text));
    const page = sink.end();
    adapter = page.adapter;
    const { values, notFinite, filter, types } = page;
    const scrape = { values, notFinite, filter, types, atMs, startedAtMs };
    history = withScrape(history, scrape, 400_000);
    const newest = history.scrapes.at(-1);
    if (newest === undefined) throw new Error("the scrape is not kept");
    const choice = labelChoice(query.match, sharedPatterns());
    const context = { history, newest, adapter, intervalMs: 5_000, query, choice };
    const done = evaluate(context, latency);
    latency = done.latency;
    results.push(done.result);
  }
  const result = results.at(-1);
  if (adapter === undefined || result === undefined) throw new Error("no pages");
  return { adapter, result, results };
}

/** A signal's value, or the reason for none in brackets. */
export function shown(result: SignalResult): number | string {
  return "value" in result ? Number(result.value.toPrecision(9)) : `[${result.reason}]`;
}

export function signalsOf(
  name: string,
  signals: readonly SignalName[],
  more: Partial<SignalQuery> = {},
  engine?: string,
): Record<string, number | string> {
  return Object.fromEntries(
    signals.map((signal) => [
      signal,
      shown(readPages(pagesOf(name), queryFor(signal, more), engine).result),
    ]),
  );
}
