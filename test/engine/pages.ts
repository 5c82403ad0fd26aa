/** Reading fixture pages the way a follower does, without the network. */
import { readFileSync } from "node:fs";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { pageSink } from "#engine/page/page.ts";
import { seriesTable } from "#engine/page/series.ts";
import { type SignalQuery, wantedNames } from "#engine/signal/ask.ts";
import type { SignalResult } from "#engine/signal/evaluate.ts";
import { type History, withScrape } from "#engine/signal/history.ts";
import { type Memory, signalOutcome } from "#engine/signal/signal.ts";
import type { SignalName } from "#metric/catalogue.ts";

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

export function askFor(
  signal: SignalQuery["signal"],
  more: Partial<SignalQuery> = {},
): SignalQuery {
  return { signal, windowMs: 0, match: [], ...more };
}

export interface Read {
  readonly adapter: Adapter;
  readonly outcome: SignalResult;
  /** After each page. */
  readonly outcomes: readonly SignalResult[];
}

/**
 * @param engine Absent: found out from the page.
 * @param bornAtMs When the engine started, on the clock of the pages.
 */
export function readPages(
  pages: readonly TimedPage[],
  ask: SignalQuery,
  engine?: string,
  bornAtMs?: number,
): Read {
  const named = engine === undefined ? undefined : adapterOf(engine);
  let history: History = { table: seriesTable(), scrapes: [] };
  let adapter = named;
  let memory: Memory = {};
  const outcomes: SignalResult[] = [];
  for (const { atMs, text } of pages) {
    const among = adapter === undefined ? adapters : [adapter];
    const sink = pageSink({
      contentType: "text/plain",
      table: history.table,
      wanted: nameFilter(wantedNames([ask], among)),
      isToIdentify: true,
      ...(named && { adapter: named }),
    });
    sink.push(Buffer.from(text));
    const page = sink.end();
    adapter = page.adapter;
    history = withScrape(
      history,
      { ...page, atMs, ...(bornAtMs !== undefined && { bornAtMs }) },
      400_000,
    );
    const scene = { history, adapter, intervalMs: 5_000 };
    const done = signalOutcome(scene, ask, memory);
    memory = done.memory;
    outcomes.push(done.outcome);
  }
  const outcome = outcomes.at(-1);
  if (adapter === undefined || outcome === undefined) throw new Error("no pages");
  return { adapter, outcome, outcomes };
}

/** A signal's value, or the reason for none in brackets. */
export function shown(outcome: SignalResult): number | string {
  return "value" in outcome ? Number(outcome.value.toPrecision(9)) : `[${outcome.reason}]`;
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
      shown(readPages(pagesOf(name), askFor(signal, more), engine).outcome),
    ]),
  );
}
