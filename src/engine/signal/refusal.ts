import type { Series } from "#engine/page/series.ts";
import { engineFacts } from "#metric/engines.ts";
import type { Matcher, SignalQuery } from "./ask.ts";
import { type Scrape, valueIn } from "./history.ts";
import type { Scene } from "./scene.ts";
import { namesOf, type Term } from "./term.ts";

/** Why a number must not be used although the page has one. */
export function refusalOf(
  { history, adapter }: Scene,
  ask: SignalQuery,
  terms: readonly Term[],
  newest: Scrape,
): string | undefined {
  const { sharedBy } = engineFacts(adapter.engine);
  const unnamed = sharedBy.filter((label) => !isPinned(ask.match, label));
  if (unnamed.length > 0)
    return `${adapter.title} serves many workloads: choose one by its ${unnamed.join(" and ")}`;
  const onPage = terms
    .flatMap(namesOf)
    .flatMap((name) => history.table.byName(name))
    .filter((series) => valueIn(newest, series) !== undefined);
  for (const { name, labels } of onPage) {
    const foreign = adapter.foreign?.(labels);
    if (foreign !== undefined) return `${name} is not the engine's own: ${foreign}`;
  }
  return ensembleRefusal(ask, onPage);
}

function isPinned(match: readonly Matcher[], asked: string): boolean {
  return match.some(({ label, op }) => label === asked && op === "=");
}

/**
 * An ensemble's request is counted at the ensemble and at each of its parts, and the page does not
 * say which models are ensembles. Its gauges are not affected: only parts have a queue.
 */
function ensembleRefusal(
  { match, ensembles }: SignalQuery,
  onPage: readonly Series[],
): string | undefined {
  if (ensembles !== undefined || match.some(({ label }) => label === "model")) return undefined;
  const counters = onPage.filter(
    ({ name }) =>
      name.startsWith("nv_inference_request_") || name.startsWith("nv_inference_queue_"),
  );
  const models = new Set(counters.map(({ labels: { model } }) => model));
  return models.size > 1
    ? `it serves ${models.size} models (${[...models].sort().join(", ")}) and does not say which are ensembles of others: choose one by its label model`
    : undefined;
}
