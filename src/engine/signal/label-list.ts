/**
 * What a page says in a label of a series, and not in its value.
 *
 * @module
 */
import type { LabelListFormula } from "./formula.ts";
import { type QueryContext, valueIn } from "./history.ts";
import type { SignalResult } from "./result.ts";
import { firstOnPage, selectedSeries } from "./selection.ts";

/** How many names the newest list has, in percent of its limit where it has one. */
export function labelListResult(
  context: QueryContext,
  { names, label, limitLabel }: LabelListFormula,
): SignalResult {
  const series = selectedSeries(context, firstOnPage(context, names) ?? "");
  const setAt = (one: (typeof series)[number]) => valueIn(context.newest, one) ?? 0;
  const [newest] = series.toSorted((one, other) => setAt(other) - setAt(one));
  if (newest === undefined) return { reason: "no-samples", why: "nothing was listed yet" };
  const listed = (newest.labels[label] ?? "").split(",").filter((name) => name !== "").length;
  if (limitLabel === undefined) return { value: listed };
  const limit = Number(newest.labels[limitLabel]);
  return limit > 0
    ? { value: (listed / limit) * 100 }
    : {
        reason: "no-samples",
        why: `its ${limitLabel} is ${newest.labels[limitLabel] ?? "absent"}`,
      };
}
