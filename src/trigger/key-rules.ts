/**
 * Rules among the keys: which must not stand beside each other, and which need one another.
 *
 * @module
 */
import { metricOf } from "#metric/catalogue.ts";
import { engineFacts } from "#metric/engines.ts";
import { accessKeys, accessProblems } from "./access-rules.ts";
import { jsonProblems } from "./json-rules.ts";
import type { scopes, TriggerValues } from "./keys.ts";
import {
  endpointEngines,
  endpointNames,
  haveSameUnit,
  kindProblem,
  type ResolvedMetadata,
  seriesReduce,
  shorthandNames,
  shorthands,
} from "./resolve.ts";

/** Every problem that no key has by itself. */
export function crossKeyProblems(metadata: ResolvedMetadata): readonly string[] {
  return [
    shorthandProblems,
    targetProblems,
    endpointProblems,
    engineProblems,
    scopeProblems,
  ].flatMap((problems) => problems(metadata));
}

function shorthandProblems({ values, has }: ResolvedMetadata): readonly string[] {
  const [name, second] = shorthandNames.filter(has);
  if (name === undefined) return [];
  if (second !== undefined) return [`${name}: must not be given beside ${second}`];
  const metric = shorthands[name];
  const problems: string[] = [];
  if (values.metricType !== undefined && values.metricType !== metric)
    problems.push(`${name}: means metricType ${metric}, got metricType ${values.metricType}`);
  const [short, long] = [values[name], values.targetValue];
  if (short !== undefined && long !== undefined && short !== long)
    problems.push(`${name}: means targetValue ${short}, got targetValue ${long}`);
  return problems;
}

/** A target in another unit than the default's or the profile's would be one that nobody chose. */
function targetProblems({ values, has, profile, resolved }: ResolvedMetadata): readonly string[] {
  if (["targetValue" as const, ...shorthandNames].some(has)) return [];
  const { metric } = resolved;
  if (profile === undefined) {
    const { unit } = metricOf(metric);
    // Of a profile that is not known, nor is the target; that problem is reported already.
    if (has("profile") || unit === "%") return [];
    return [
      `targetValue: must be given for ${metric}, whose unit is ${unit}: 80 is for percentages`,
    ];
  }
  if (haveSameUnit(metric, profile.metric)) return [];
  return [
    `targetValue: must be given where metricType ${metric} (${metricOf(metric).unit}) ` +
      `replaces ${profile.metric} (${metricOf(profile.metric).unit}) of profile ${values.profile}`,
  ];
}

function endpointProblems({ values, has }: ResolvedMetadata): readonly string[] {
  const [first, ...more] = endpointNames.filter(has);
  if (first === undefined) return [];
  const problems = more.map((name) => `${name}: must not be given beside ${first}`);
  const engine = endpointEngines[first];
  if (engine !== undefined && values.engine !== undefined && values.engine !== engine)
    problems.push(`${first}: means engine ${engine}, got engine ${values.engine}`);
  if (has("enginePort"))
    problems.push(`enginePort: must not be given beside ${first}, whose URL names the port`);
  if (has("engineScheme"))
    problems.push(`engineScheme: must not be given beside ${first}, whose URL names the scheme`);
  const url = values[first];
  if (has("enginePath") && url !== undefined && URL.parse(url)?.pathname !== "/")
    problems.push(`enginePath: must not be given beside ${first}, whose URL has a path`);
  return problems;
}

/** Which keys an engine needs depends on the metrics that are read from it. */
function engineProblems(metadata: ResolvedMetadata): readonly string[] {
  const { values, has, resolved } = metadata;
  const deciding = ["profile", "metricType", "activationMetricType"] as const;
  // A metric that is not known needs nothing; its own problem is reported already.
  if (deciding.some((name) => has(name) && values[name] === undefined)) return [];
  const readsEngine = [resolved.metric, resolved.activationMetric].some(
    (metric) => metricOf(metric).source === "engine",
  );
  return [
    ...jsonProblems(metadata),
    ...(has("engineJsonPath") || resolved.engine === "json" ? [] : seriesProblems(metadata)),
    ...(readsEngine
      ? [...locationProblems(metadata), ...accessProblems(metadata)]
      : idleKeyProblems(metadata)),
  ];
}

/** `engineMetric` and what belongs to it. */
function seriesProblems(metadata: ResolvedMetadata): readonly string[] {
  const { values, has, profile, resolved } = metadata;
  const isNamed = has("engineMetric") || profile?.engineMetric !== undefined;
  const isRead =
    resolved.metric === "engine_metric" || resolved.activationMetric === "engine_metric";
  const { engineMetricKind = profile?.engineMetricKind } = values;
  const engineReduce = seriesReduce(values) ?? profile?.engineReduce;
  const { engineMetric = profile?.engineMetric } = values;
  return [
    ...(["engineMetricKind", "engineReduce"] as const)
      .filter((name) => has(name) && !isNamed && values[name] !== "count")
      .map((name) => `${name}: only has a meaning beside engineMetric`),
    ...[kindProblem(engineMetric, engineMetricKind, engineReduce) ?? []].flat(),
    ...(isRead ? readSeriesProblems(metadata, isNamed) : unreadSeriesProblems(metadata)),
  ];
}

function unreadSeriesProblems({ values, has }: ResolvedMetadata): readonly string[] {
  const [instead] = (["metricType", ...shorthandNames] as const).filter(has);
  if (values.engineMetric === undefined || instead === undefined) return [];
  return [`engineMetric: means metricType engine_metric, got ${instead} ${values[instead]}`];
}

function readSeriesProblems(
  { has, profile }: ResolvedMetadata,
  isNamed: boolean,
): readonly string[] {
  const problems: string[] = [];
  if (!isNamed) problems.push("engineMetric: must be given where engine_metric is asked for");
  const locating = ["engine", ...endpointNames] as const;
  if (isNamed && !locating.some(has) && profile?.engine === undefined)
    problems.push(
      "engineMetric: must be given with engine or endpoint, which tell whose page it is on",
    );
  return problems;
}

/** Where an engine is that is not in the workload's own pods, and which part of its page counts. */
function locationProblems(metadata: ResolvedMetadata): readonly string[] {
  const { has, resolved } = metadata;
  const { engine, metric, activationMetric } = resolved;
  if (engine === undefined) return [];
  const problems: string[] = [];
  const pageKey = ofAnyPage(engine);
  const places = ["podSelector", ...(pageKey === undefined ? [] : [pageKey])] as const;
  if (engineFacts(engine).isFrontEnd && ![...endpointNames, ...places].some(has))
    problems.push(
      pageKey !== undefined
        ? `endpoint: must be given for engine ${engine}, or ${pageKey} for pages of the pods`
        : `endpoint: must be given for engine ${engine}, which is not in the workload's pods; or podSelector, for its own pods`,
    );
  const own = [metric, activationMetric].find(
    (name) => metricOf(name).source === "engine" && name !== "engine_metric",
  );
  if (engine === "prometheus" && own !== undefined)
    problems.push(`engineMetric: must be given for engine prometheus, which does not tell ${own}`);
  return [...problems, ...sharedPageProblems(metadata)];
}

/** Engines that are any page, and which key says that it is one of the workload's own pods. */
export function ofAnyPage(engine: string): "enginePort" | "enginePath" | undefined {
  if (engine === "prometheus") return "enginePort";
  return engine === "json" ? "enginePath" : undefined;
}

/** One page for many workloads: labels have to say which part of it is this one's. */
function sharedPageProblems({ values, has, profile, resolved }: ResolvedMetadata) {
  const { engine } = resolved;
  const { sharedBy } = engine === undefined ? { sharedBy: [] } : engineFacts(engine);
  const labels = values.engineLabels ?? profile?.engineLabels ?? [];
  const open = sharedBy.filter(
    (name) => !labels.some(({ label, op }) => label === name && op === "="),
  );
  if (open.length === 0 || (has("engineLabels") && values.engineLabels === undefined)) return [];
  return [
    `engineLabels: must choose ${open.join(" and ")} for engine ${engine}, which serves many workloads; write ${sharedBy.map((name) => `${name}="…"`).join(",")}`,
  ];
}

/** Keys that would be used to read an engine, where none is read. */
export const idleKeys = ["engineLabels", ...accessKeys] as const;

function idleKeyProblems({ has, resolved }: ResolvedMetadata): readonly string[] {
  return idleKeys
    .filter(has)
    .map((name) => `${name}: only has a meaning for a metric of an engine, got ${resolved.metric}`);
}

/** Keys that mean something in one scope alone, and imply that scope. */
export const scopeOf = { node: "node", podSelector: "workload", container: "workload" } as const;
export const scopedNames = Object.keys(scopeOf) as (keyof typeof scopeOf)[];

export function impliedScope(values: TriggerValues): (typeof scopes)[number] | undefined {
  const name = scopedNames.find((scoped) => values[scoped] !== undefined);
  return name && scopeOf[name];
}

function scopeProblems({ values, has }: ResolvedMetadata): readonly string[] {
  const scoped = scopedNames.filter(has);
  const { scope } = values;
  if (scope !== undefined)
    return scoped
      .filter((name) => scopeOf[name] !== scope)
      .map((name) => `${name}: only has a meaning in scope ${scopeOf[name]}, got scope ${scope}`);
  const [first, ...more] = scoped;
  return first === undefined || has("scope")
    ? []
    : more
        .filter((name) => scopeOf[name] !== scopeOf[first])
        .map((name) => `${name}: must not be given beside ${first}, which means scope node`);
}
