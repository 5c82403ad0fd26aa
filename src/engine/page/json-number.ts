/**
 * The number that a trigger names on a page in JSON.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { jsonPath } from "#core/json-path.ts";
import { jsonPathVisitsMax } from "#core/limits.ts";
import type { NoValue } from "#engine/signal/result.ts";
import type { JsonMetric, JsonReducer } from "#metric/engines.ts";

/** Reads one number of each page of a target. */
export interface JsonNumber {
  readonly path: string;
  /** @returns Never 0 for what the page does not have: 0 is a sum or count of what it lists nothing of. */
  readonly read: (page: unknown) => number | NoValue;
}

export function jsonNumber({ path, reduce }: JsonMetric): JsonNumber {
  const query = jsonPath(path);
  assert(query !== undefined, "a trigger's engineJsonPath is a query");
  return {
    path,
    read: (page) => {
      const selected = query.select(page);
      if ("values" in selected) return reduced(selected.values, path, reduce);
      if ("missing" in selected)
        return lacking(`its page has no ${selected.missing}; correct engineJsonPath or enginePath`);
      const why = `${path} goes through at most ${jsonPathVisitsMax} values, got ${selected.visits}; choose fewer`;
      return { reason: "refused", why };
    },
  };
}

function reduced(values: readonly unknown[], path: string, reduce: JsonReducer): number | NoValue {
  if (reduce === "count") return values.length;
  const numbers = values.filter(isNumber);
  if (numbers.length < values.length) {
    const odd = kindOf(values.find((value) => !isNumber(value)));
    return lacking(
      `${path} must lead to numbers from 0, got ${odd}; correct it, or count with engineReduce count`,
    );
  }
  if (numbers.length > 0 || reduce === "sum") return reducers[reduce](numbers);
  return { reason: "no-samples", why: `${path} leads to nothing, of which there is no ${reduce}` };
}

/** Programs write -1 for what they do not know. */
function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

const reducers = {
  sum: (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0),
  mean: (values: readonly number[]) => reducers.sum(values) / values.length,
  max: (values: readonly number[]) => Math.max(...values),
} as const satisfies Record<Exclude<JsonReducer, "count">, unknown>;

function lacking(why: string): NoValue {
  return { reason: "lacking", why };
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return `${value}`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
