/**
 * Which series of a page a query selects.
 *
 * @module
 */
import type { Ranks } from "#engine/adapters/adapter.ts";
import { canonicalName } from "#engine/page/name-filter.ts";
import type { Series, SeriesLabels } from "#engine/page/series.ts";
import { isIn, type QueryContext, valueIn } from "./history.ts";
import type { SignalQuery } from "./query.ts";

/** The series of a name that count: no copies, no other ranks, nothing that a matcher excludes. */
export function selectedSeries(context: QueryContext, name: string): readonly Series[] {
  const { adapter, query, choice } = context;
  const { isCounted, ranks } = adapter;
  const series = spelledSeries(context, name).filter(
    ({ labels }) =>
      (isCounted === undefined || isCounted(labels)) &&
      choice.excluding(labels) === undefined &&
      !isEnsemble(query, labels),
  );
  return ranks === undefined ? series : firstRanks(context, series, ranks);
}

/**
 * A metric that the user named is the one of that spelling. Engines' own metrics have several
 * spellings, of which a page has one; should it have two, the engine's own counts.
 */
function spelledSeries({ history, newest, query }: QueryContext, name: string): readonly Series[] {
  const series = history.table.byName(name);
  const exact = series.filter(({ spelling }) => spelling === name);
  if (typeof query.signal !== "string") return exact;
  return exact.some((one) => isIn(newest, one)) ? exact : series;
}

function isEnsemble({ ensembles = [] }: SignalQuery, { model }: SeriesLabels): boolean {
  return model !== undefined && ensembles.includes(model);
}

/** Of the ranks that repeat each other, the first one that the newest page has. */
function firstRanks(
  { newest }: QueryContext,
  series: readonly Series[],
  { group, copies }: Ranks,
): readonly Series[] {
  const rankOf = ({ labels }: Series) => copies.map((label) => Number(labels[label] ?? 0));
  const groups = Map.groupBy(series, ({ labels }) => labels[group] ?? "");
  return [...groups.values()].flatMap((members) => {
    const present = members.filter((one) => isIn(newest, one));
    const [first] = present.map(rankOf).sort(byRank);
    return first === undefined
      ? members
      : members.filter((one) => byRank(rankOf(one), first) === 0);
  });
}

function byRank(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((rank, index) => rank !== other[index]);
  return at < 0 ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}

/** All series of a name that the newest page has, whatever the query selects. */
export function seriesOnPage({ history, newest }: QueryContext, name: string): readonly Series[] {
  return history.table.byName(name).filter((series) => isIn(newest, series));
}

/** The first of the names of which the newest page has a selected series. */
export function firstOnPage(
  context: QueryContext,
  names: readonly string[],
  suffix = "",
): string | undefined {
  return names.find((name) =>
    selectedSeries(context, `${name}${suffix}`).some((series) => isIn(context.newest, series)),
  );
}

/** Whether the newest page has a `# TYPE` of a name: its exporter knows it, used or not. */
export function isDeclared({ history, query }: QueryContext, name: string): boolean {
  const { types = new Map<string, string>() } = history;
  if (types.has(name)) return true;
  if (typeof query.signal !== "string") return false;
  const canonical = canonicalName(name);
  return [...types.keys()].some((declared) => canonicalName(declared) === canonical);
}

/** Of gauges that several processes print, the newest process' one. */
export function newestCopies(
  { adapter, newest }: QueryContext,
  series: readonly Series[],
): readonly Series[] {
  const { copyLabel } = adapter;
  if (copyLabel === undefined) return series;
  const copies = Map.groupBy(
    series.filter((one) => valueIn(newest, one) !== undefined),
    ({ labels }) =>
      JSON.stringify(
        Object.entries(labels)
          .filter(([label]) => label !== copyLabel)
          .sort(),
      ),
  );
  const age = ({ labels }: Series) => Number(labels[copyLabel] ?? 0);
  return [...copies.values()].flatMap((group) =>
    group.toSorted((one, other) => age(other) - age(one)).slice(0, 1),
  );
}
