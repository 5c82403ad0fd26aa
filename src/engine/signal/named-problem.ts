/**
 * What a page shows of a metric that the user named, against what the trigger asks of it.
 *
 * @module
 */
import { listedNamesMax } from "#core/limits.ts";
import { isQuantile, seriesQuantiles } from "#metric/engines.ts";
import { isIn, type QueryContext } from "./history.ts";
import { histogramName, type NamedMetric, namedKind } from "./named.ts";
import { selectedSeries, seriesOnPage } from "./selection.ts";

const quantiles = Object.keys(seriesQuantiles).join(", ");

/** Why the named metric cannot be read as it is asked for; `undefined` when nothing is against it. */
export function namedProblem(context: QueryContext): string | undefined {
  const { signal } = context.query;
  if (typeof signal === "string") return undefined;
  const { metric, denominator, reduce = "sum" } = signal;
  if (isQuantile(reduce)) return quantileProblem(context, metric, reduce);
  return [metric, ...(denominator === undefined ? [] : [denominator])]
    .map((name) => seriesProblem(context, signal, name))
    .find((problem) => problem !== undefined);
}

/** A process computes a summary's quantiles itself, and nobody can make others of them. */
function quantileProblem(
  context: QueryContext,
  metric: string,
  reduce: string,
): string | undefined {
  const name = histogramName(metric);
  const isHistogram = seriesOnPage(context, `${name}_bucket`).length > 0;
  if (isHistogram) return undefined;
  const type = typeOf(context, name);
  if (type === "summary")
    return `its ${name} is a summary, of which no other quantiles can be made: choose one with engineLabels quantile="…"${listedValues(context, name, "quantile")}, and engineReduce max`;
  return type === "gauge" || type === "counter"
    ? `its ${name} is a ${type}, and engineReduce ${reduce} is of a histogram`
    : undefined;
}

function seriesProblem(
  context: QueryContext,
  named: NamedMetric,
  name: string,
): string | undefined {
  const { reduce = "sum" } = named;
  const series = selectedSeries(context, name).filter((one) => isIn(context.newest, one));
  const type = typeOf(context, name);
  if (type === "histogram" && series.length === 0)
    return `its ${name} is a histogram: choose engineReduce ${quantiles}, or name its ${name}_count or ${name}_sum`;
  if (type === "summary" && series.length > 0) return summaryProblem(context, name, reduce);
  if (new Set(series.flatMap(({ le }) => le ?? [])).size > 1)
    return `its ${name} counts an observation in every bucket above it: choose one with engineLabels le="…", or engineReduce ${quantiles}`;
  const { types = new Map<string, string>() } = context.history;
  const isCounter = namedKind(named, name, types) === "counter";
  return isCounter && reduce !== "sum" && series.length > 0
    ? `its ${name} is a counter, whose series add up: engineReduce must be sum, got ${reduce}`
    : undefined;
}

function summaryProblem(context: QueryContext, name: string, reduce: string): string | undefined {
  const { match } = context.query;
  if (!match.some(({ label, op }) => label === "quantile" && op === "="))
    return `its ${name} is a summary: choose one of its quantiles with engineLabels quantile="…"${listedValues(context, name, "quantile")}`;
  const { length } = selectedSeries(context, name).filter((one) => isIn(context.newest, one));
  return length > 1 && reduce === "sum"
    ? `its ${name} has ${length} series, whose quantiles do not add up: engineReduce must be max or mean`
    : undefined;
}

/** By the page's word, or by the label that all of them have. */
function typeOf(context: QueryContext, name: string): string | undefined {
  const type = context.history.types?.get(name);
  const isSummary = seriesOnPage(context, name).some(
    ({ spelling, labels }) => spelling === name && labels["quantile"] !== undefined,
  );
  return isSummary ? "summary" : type;
}

function listedValues(context: QueryContext, name: string, label: string): string {
  const values = new Set(seriesOnPage(context, name).flatMap(({ labels }) => labels[label] ?? []));
  return values.size === 0 ? "" : `, of ${[...values].sort().slice(0, listedNamesMax).join(", ")}`;
}
