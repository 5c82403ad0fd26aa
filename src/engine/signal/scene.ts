/**
 * Which series of a page a term means, and whether the page has them.
 *
 * @module
 */
import type { Adapter } from "#engine/adapters/adapter.ts";
import type { Labels, Series } from "#engine/page/series.ts";
import { matches, type SignalQuery } from "./ask.ts";
import { type History, type Scrape, valueIn } from "./history.ts";
import { type Average, type Gauge, namesOf, type Plus, type Term } from "./term.ts";

/** Everything an evaluation looks at. */
export interface Scene {
  readonly history: History;
  readonly intervalMs: number;
  readonly adapter: Adapter;
}

/** A scene, and what is looked for in it. */
export interface Eye extends Scene {
  readonly ask: SignalQuery;
  readonly newest: Scrape;
}

function simple(terms: readonly Term[]): readonly Exclude<Term, Plus>[] {
  return terms.flatMap((term): readonly Exclude<Term, Plus>[] =>
    term.kind === "plus" ? [...term.parts, ...term.optional] : [term],
  );
}

/** What was looked for and not found, and if only the labels differ, which there are. */
export function notFound({ history, newest, ask }: Eye, terms: readonly Term[]): string {
  const names = terms.flatMap(namesOf);
  for (const { labels, name } of names.flatMap((one) => history.table.byName(one))) {
    const [missed] = ask.match.filter((matcher) => !matches(labels, [matcher]));
    if (missed === undefined) continue;
    const there = history.table
      .byName(name)
      .filter((series) => valueIn(newest, series) !== undefined)
      .map((series) => series.labels[missed.label] ?? "");
    const { label, op, value } = missed;
    return `its ${name} has no series with ${label}${op}"${value}", there is ${[...new Set(there)].sort().slice(0, 8).join(", ")}`;
  }
  const listed = simple(terms).flatMap((term) => term.names);
  return `its page has no ${listed.slice(0, 6).join(", no ")}`;
}

/** The series of a name that count: no copies, no other ranks, nothing that was not asked for. */
export function seriesOf({ history, adapter, ask }: Eye, name: string): readonly Series[] {
  const { keep } = adapter;
  return history.table
    .byName(name)
    .filter(
      ({ labels }) =>
        (keep === undefined || keep(labels)) &&
        matches(labels, ask.match) &&
        !isEnsemble(ask, labels),
    );
}

function isEnsemble({ ensembles = [] }: SignalQuery, { model }: Labels): boolean {
  return model !== undefined && ensembles.includes(model);
}

function isOnPage(eye: Eye, name: string): boolean {
  return seriesOf(eye, name).some((series) => valueIn(eye.newest, series) !== undefined);
}

/** The first of the names that the newest page has. */
export function nameOnPage(eye: Eye, names: readonly string[], suffix = ""): string | undefined {
  return names.find((name) => isOnPage(eye, `${name}${suffix}`));
}

export function isPresent(eye: Eye, term: Term): boolean {
  switch (term.kind) {
    case "gauge":
      return gaugeSeries(eye, term).length > 0;
    case "rate":
      return nameOnPage(eye, term.names) !== undefined;
    case "ratio":
      return (
        isOnPage(eye, term.whole) &&
        (nameOnPage(eye, term.names) !== undefined || isZero(eye, term))
      );
    case "average":
      return pairOf(eye, term) !== undefined;
    case "quantile":
      return nameOnPage(eye, term.names, "_bucket") !== undefined;
    case "plus":
      return (
        term.parts.some((part) => isPresent(eye, part)) &&
        term.parts.every((part) => isPresent(eye, part) || isZero(eye, part))
      );
  }
}

/** Absent because nothing has happened yet. */
export function isZero(eye: Eye, term: Term): boolean {
  if (term.kind === "plus") return term.parts.every((part) => isZero(eye, part));
  // A share of something that is not there is no share of 0.
  if (term.kind === "ratio" && !isOnPage(eye, term.whole)) return false;
  const { lazy } = term;
  if (typeof lazy !== "object") return lazy === true;
  return "given" in lazy
    ? hasName(eye, lazy.given)
    : !lazy.until.some((name) => hasName(eye, name));
}

/** Whether the page has the name at all, whatever labels were asked for. */
function hasName({ history, newest }: Eye, name: string): boolean {
  return history.table.byName(name).some((series) => valueIn(newest, series) !== undefined);
}

export function pairOf(
  eye: Eye,
  { names, counts }: Average,
): readonly [string, string] | undefined {
  for (const [at, name] of names.entries()) {
    const count = counts[at] ?? "";
    if (isOnPage(eye, name) && isOnPage(eye, count)) return [name, count];
  }
  return undefined;
}

/**
 * The series of the first name that the newest page has any of. A gauge's labels are all there from
 * the start, so unlike a counter's it is absent when none passes `where`.
 */
export function gaugeSeries(eye: Eye, { names, where = () => true }: Gauge): readonly Series[] {
  for (const name of names) {
    const series = seriesOf(eye, name).filter(({ labels }) => where(labels));
    if (series.some((one) => valueIn(eye.newest, one) !== undefined)) return series;
  }
  return [];
}
