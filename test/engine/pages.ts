/** Reading fixture pages the way a follower does, without the network. */
import { readFileSync } from "node:fs";
import type { Adapter } from "#engine/adapter.ts";
import { type Ask, wantedNames } from "#engine/ask.ts";
import { adapterOf, adapters } from "#engine/engines.ts";
import type { Outcome } from "#engine/evaluate.ts";
import { type History, withScrape } from "#engine/history.ts";
import { nameFilter } from "#engine/name-filter.ts";
import { pageSink } from "#engine/page.ts";
import { seriesTable } from "#engine/series.ts";
import { type Memory, signalOutcome } from "#engine/signal.ts";
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

export function askFor(signal: Ask["signal"], more: Partial<Ask> = {}): Ask {
  return { signal, windowMs: 0, match: [], ...more };
}

export interface Read {
  readonly adapter: Adapter;
  readonly outcome: Outcome;
  /** After each page. */
  readonly outcomes: readonly Outcome[];
}

/**
 * @param engine Absent: found out from the page.
 * @param bornAtMs When the engine started, on the clock of the pages.
 */
export function readPages(
  pages: readonly TimedPage[],
  ask: Ask,
  engine?: string,
  bornAtMs?: number,
): Read {
  const named = engine === undefined ? undefined : adapterOf(engine);
  let history: History = { table: seriesTable(), scrapes: [] };
  let adapter = named;
  let memory: Memory = {};
  const outcomes: Outcome[] = [];
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
export function shown(outcome: Outcome): number | string {
  return "value" in outcome ? Number(outcome.value.toPrecision(9)) : `[${outcome.reason}]`;
}

export function signalsOf(
  name: string,
  signals: readonly SignalName[],
  more: Partial<Ask> = {},
  engine?: string,
): Record<string, number | string> {
  return Object.fromEntries(
    signals.map((signal) => [
      signal,
      shown(readPages(pagesOf(name), askFor(signal, more), engine).outcome),
    ]),
  );
}
