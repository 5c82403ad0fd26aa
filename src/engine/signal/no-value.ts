/**
 * Why there is no value although the page was read.
 *
 * @module
 */
import { offeredSignals } from "#engine/adapters/adapter.ts";
import { engineFacts } from "#metric/engines.ts";
import { type Formula, namesOf, termsOf } from "./formula.ts";
import type { QueryContext } from "./history.ts";
import { namedProblem } from "./named-problem.ts";
import { type SignalQuery, signalText } from "./query.ts";
import type { SignalResult } from "./result.ts";
import { firstOnPage, isDeclared, seriesOnPage } from "./selection.ts";

/** The engine does not export the signal, in any version. */
export function notOffered({ adapter, query }: QueryContext): SignalResult {
  const offered = offeredSignals(adapter).join(", ");
  return {
    reason: "not-exported",
    why: `${adapter.title} does not export ${signalText(query)}; it has ${offered === "" ? "no signals of its own: name a metric" : offered}`,
  };
}

/**
 * The page lacks the names, or has them with other labels only: then which there are. What it
 * declares and has not set comes: an engine reports first when it has warmed up.
 */
export function notFound(context: QueryContext, formulas: readonly Formula[]): SignalResult {
  const { history, choice } = context;
  const declared = formulas.flatMap(readNames).find((name) => isUnset(context, name));
  if (declared !== undefined)
    return { reason: "pending", why: `its page declares ${declared} and has not set it yet` };
  for (const name of formulas.flatMap(namesOf)) {
    if (firstOnPage(context, [name]) !== undefined) continue;
    for (const { labels } of history.table.byName(name)) {
      const missed = choice.excluding(labels);
      if (missed === undefined) continue;
      const { label, op, value } = missed;
      const values = new Set(seriesOnPage(context, name).map((one) => one.labels[label] ?? ""));
      const listed = [...values].sort().slice(0, 8).join(", ");
      return {
        reason: "lacking",
        why: `its ${name} has no series with ${label}${op}"${value}", there is ${listed}`,
      };
    }
  }
  const read = formulas.flatMap(namesOf);
  const missing = read.filter((name) => firstOnPage(context, [name]) === undefined);
  const names = missing.length === 0 ? read : missing;
  return { reason: "lacking", why: `its page has no ${names.slice(0, 6).join(", no ")}` };
}

function readNames(formula: Formula): readonly string[] {
  return formula.kind === "sum" || formula.kind === "ratio"
    ? termsOf(formula).flatMap((term) => term.names)
    : formula.names;
}

function isUnset(context: QueryContext, name: string): boolean {
  return isDeclared(context, name) && seriesOnPage(context, name).length === 0;
}

/** The page has a number, but it must not be used. `undefined` when nothing is against it. */
export function refusalOf(
  context: QueryContext,
  formulas: readonly Formula[],
): SignalResult | undefined {
  const why =
    sharedPage(context) ??
    namedProblem(context) ??
    foreignSeries(context, formulas) ??
    unknownEnsembles(context, formulas);
  return why === undefined ? undefined : { reason: "refused", why };
}

/** The page is about many workloads, and the query does not say which it means. */
function sharedPage({ adapter, query }: QueryContext): string | undefined {
  const open = engineFacts(adapter.engine).sharedBy.filter((label) => !isPinned(query, label));
  return open.length === 0
    ? undefined
    : `${adapter.title} serves many workloads: choose one by its ${open.join(" and ")}`;
}

function isPinned({ match }: SignalQuery, name: string): boolean {
  return match.some(({ label, op }) => label === name && op === "=");
}

function foreignSeries(context: QueryContext, formulas: readonly Formula[]): string | undefined {
  const { foreign } = context.adapter;
  if (foreign === undefined) return undefined;
  for (const name of formulas.flatMap(namesOf))
    for (const { labels } of seriesOnPage(context, name)) {
      const why = foreign(labels);
      if (why !== undefined) return `${name} is not the engine's own: ${why}`;
    }
  return undefined;
}

/** Triton's counters of requests. Its gauges are not affected: only the models inside have a queue. */
const ensembleCounter = /^nv_inference_(request|queue)_/;

/**
 * An ensemble's request is counted at the ensemble and at each model that it is made of, and the
 * page does not say which models are ensembles.
 */
function unknownEnsembles(context: QueryContext, formulas: readonly Formula[]): string | undefined {
  const { match, ensembles } = context.query;
  if (ensembles !== undefined || match.some(({ label }) => label === "model")) return undefined;
  const counters = formulas.flatMap(namesOf).filter((name) => ensembleCounter.test(name));
  const series = counters.flatMap((name) => seriesOnPage(context, name));
  const models = new Set(series.map(({ labels: { model } }) => model));
  return models.size > 1
    ? `it serves ${models.size} models (${[...models].sort().join(", ")}) and does not say which are ensembles of others: choose one by its label model`
    : undefined;
}
