/**
 * Rules for a number of a page in JSON, which stands in place of a series of a Prometheus page.
 *
 * @module
 */
import { metricOf } from "#metric/catalogue.ts";
import { type JsonReducer, jsonReducers } from "#metric/engines.ts";
import type { TriggerKeyName } from "./keys.ts";
import { endpointEngines, endpointNames, type ResolvedMetadata } from "./resolve.ts";

/** What is wrong with `engineJsonPath` and what stands beside it, or with what needs it. */
export function jsonProblems(metadata: ResolvedMetadata): readonly string[] {
  const { values, has, resolved } = metadata;
  if (has("engineJsonPath")) return [...besideProblems(metadata), ...meaningProblems(metadata)];
  const problems: string[] = [];
  if (values.engineReduce === "count")
    problems.push("engineReduce: count only has a meaning beside engineJsonPath");
  if (resolved.engine === "json")
    problems.push("engineJsonPath: must be given for engine json, which tells nothing else");
  return problems;
}

/** Keys that mean nothing beside `engineJsonPath`, and why. */
export const seriesKeys = {
  engineMetric: "names a series of a Prometheus page",
  engineMetricKind: "is of a series: a page in JSON has numbers as they are",
  engineLabels: "chooses series: choose values by a filter in the path",
} as const satisfies Partial<Record<TriggerKeyName, string>>;
export const seriesKeyNames = Object.keys(seriesKeys) as (keyof typeof seriesKeys)[];

function besideProblems({ values, has }: ResolvedMetadata): readonly string[] {
  const { engineReduce } = values;
  const problems = seriesKeyNames
    .filter(has)
    .map(
      (name) => `${name}: must not be given beside engineJsonPath, because it ${seriesKeys[name]}`,
    );
  if (engineReduce !== undefined && !isJsonReducer(engineReduce))
    problems.push(
      `engineReduce: must be one of ${jsonReducers.join(", ")} beside engineJsonPath, got ${engineReduce}`,
    );
  return problems;
}

function meaningProblems({ values, has, resolved }: ResolvedMetadata): readonly string[] {
  const { metric, activationMetric } = resolved;
  const problems: string[] = [];
  // A path that breaks its own rule means nothing yet; that problem is reported already.
  if (values.engineJsonPath === undefined) return problems;
  if (values.engine !== undefined && values.engine !== "json")
    problems.push(`engineJsonPath: means engine json, got engine ${values.engine}`);
  const named = endpointNames.find((name) => has(name) && endpointEngines[name] !== undefined);
  if (named !== undefined)
    problems.push(
      `engineJsonPath: means engine json, and ${named} engine ${endpointEngines[named]}; write endpoint`,
    );
  if (metric !== "engine_metric" && activationMetric !== "engine_metric")
    return [...problems, `engineJsonPath: means metricType engine_metric, got ${metric}`];
  const other = [metric, activationMetric].find(
    (name) => name !== "engine_metric" && metricOf(name).source === "engine",
  );
  if (other !== undefined)
    problems.push(`engineJsonPath: tells engine_metric alone, and ${other} needs another engine`);
  return problems;
}

function isJsonReducer(reduce: string): reduce is JsonReducer {
  return jsonReducers.some((one) => one === reduce);
}
