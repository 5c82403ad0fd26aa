/**
 * Rules among the keys that say which engine is read, where, and what there.
 *
 * @module
 */
import { metricOf } from "#metric/catalogue.ts";
import { type EngineName, engineFacts } from "#metric/engines.ts";
import { type Aim, aimOf, shorthandNames } from "./aim.ts";
import type { TriggerValues } from "./keys.ts";
import type { Parsed } from "./metadata.ts";
import type { Profile } from "./profiles.ts";

const engineEndpoints = { vllmEndpoint: "vllm", tritonEndpoint: "triton" } as const;
const endpointNames = ["endpoint", "vllmEndpoint", "tritonEndpoint"] as const;

/** The URL in place of the pods, under whichever of its names. */
export function endpointOf(values: TriggerValues): string | undefined {
  const name = endpointNames.find((each) => values[each] !== undefined);
  return name && values[name];
}

/** What the keys say of the engine, then the endpoint's name, then the profile. */
export function engineOf(
  values: TriggerValues,
  profile: Profile | undefined,
): EngineName | undefined {
  const name = endpointNames.find((each) => values[each] !== undefined);
  return values.engine ?? endpointEngine(name) ?? profile?.engine;
}

function endpointEngine(name: (typeof endpointNames)[number] | undefined) {
  return name === undefined || name === "endpoint" ? undefined : engineEndpoints[name];
}

export function endpointProblems({ values, isGiven }: Parsed): readonly string[] {
  const given = endpointNames.filter(isGiven);
  const [first, ...more] = given;
  if (first === undefined) return [];
  const problems = more.map((name) => `${name}: must not be given beside ${first}`);
  const engine = endpointEngine(first);
  if (engine !== undefined && values.engine !== undefined && values.engine !== engine)
    problems.push(`${first}: means engine ${engine}, got engine ${values.engine}`);
  if (isGiven("enginePort"))
    problems.push(`enginePort: must not be given beside ${first}, whose URL names the port`);
  const url = values[first];
  if (isGiven("enginePath") && url !== undefined && URL.parse(url)?.pathname !== "/")
    problems.push(`enginePath: must not be given beside ${first}, whose URL has a path`);
  return problems;
}

/** What an engine must be told depends on what is asked of it. */
export function engineProblems(parsed: Parsed, profile: Profile | undefined): readonly string[] {
  const { values, isGiven } = parsed;
  const deciding = ["profile", "metricType", "activationMetricType"] as const;
  // A metric that is not known asks for nothing; its own problem is told already.
  if (deciding.some((name) => isGiven(name) && values[name] === undefined)) return [];
  const aim = aimOf(values, profile);
  const asksEngine = [aim.metric, aim.activationMetric].some(
    (metric) => metricOf(metric).source === "engine",
  );
  return [
    ...seriesProblems(parsed, profile, aim),
    ...(asksEngine ? whereProblems(parsed, profile, aim) : idleProblems(parsed, aim)),
  ];
}

/** `engineMetric` and what belongs to it. */
function seriesProblems(
  { values, isGiven }: Parsed,
  profile: Profile | undefined,
  aim: Aim,
): readonly string[] {
  const problems: string[] = [];
  const isNamed = isGiven("engineMetric") || profile?.engineMetric !== undefined;
  if (isGiven("engineReduce") && !isNamed)
    problems.push("engineReduce: only has a meaning beside engineMetric");
  if (aim.metric !== "engine_metric" && aim.activationMetric !== "engine_metric") {
    const [instead] = (["metricType", ...shorthandNames] as const).filter(isGiven);
    if (values.engineMetric !== undefined && instead !== undefined)
      problems.push(
        `engineMetric: means metricType engine_metric, got ${instead} ${values[instead]}`,
      );
    return problems;
  }
  if (!isNamed) problems.push("engineMetric: must be given where engine_metric is asked for");
  const isPlaced = ["engine", ...endpointNames] as const;
  if (isNamed && !isPlaced.some(isGiven) && profile?.engine === undefined)
    problems.push(
      "engineMetric: must be given with engine or endpoint, which tell whose page it is on",
    );
  if (aim.metric === "engine_metric" && !isGiven("targetValue") && profile === undefined)
    problems.push("targetValue: must be given for engine_metric, whose unit is its own");
  return problems;
}

/** Where an engine is that is not in the workload's own pods, and which part of its page counts. */
function whereProblems(
  { values, isGiven }: Parsed,
  profile: Profile | undefined,
  { metric, activationMetric }: Aim,
): readonly string[] {
  const engine = engineOf(values, profile);
  if (engine === undefined) return [];
  const { isFrontEnd, sharedBy } = engineFacts(engine);
  const problems: string[] = [];
  const isAnyPage = engine === "prometheus";
  const places = ["podSelector", ...(isAnyPage ? (["enginePort"] as const) : [])] as const;
  if (isFrontEnd && ![...endpointNames, ...places].some(isGiven))
    problems.push(
      isAnyPage
        ? "endpoint: must be given for engine prometheus, or enginePort for pages of the pods"
        : `endpoint: must be given for engine ${engine}, which is not in the workload's pods; or podSelector, for its own pods`,
    );
  const own = [metric, activationMetric].find(
    (name) => metricOf(name).source === "engine" && name !== "engine_metric",
  );
  if (isAnyPage && own !== undefined)
    problems.push(`engineMetric: must be given for engine prometheus, which does not tell ${own}`);
  const labels = values.engineLabels ?? profile?.engineLabels ?? [];
  const open = sharedBy.filter(
    (name) => !labels.some(({ label, op }) => label === name && op === "="),
  );
  if (open.length > 0 && (!isGiven("engineLabels") || values.engineLabels !== undefined))
    problems.push(
      `engineLabels: must choose ${open.join(" and ")} for engine ${engine}, which serves many workloads; write ${sharedBy.map((name) => `${name}="…"`).join(",")}`,
    );
  return problems;
}

/** Keys that would be read at an engine, where none is asked. */
function idleProblems({ isGiven }: Parsed, { metric }: Aim): readonly string[] {
  return (["engineLabels", "engineTokenFile"] as const)
    .filter(isGiven)
    .map((name) => `${name}: only has a meaning for a metric of an engine, got ${metric}`);
}
