import { Fault } from "#core/fault.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { ReducerName } from "#metric/reduce.ts";
import type { replicaReducers, scopes, TriggerValues } from "./keys.ts";
import { type Parsed, parseMetadata } from "./metadata.ts";
import { type Profile, type ProfileName, profileOf } from "./profiles.ts";

export type Scope = (typeof scopes)[number];

/** A ScaledObject's trigger with every default filled in, but for those the cluster decides. */
export interface Trigger {
  readonly profile?: ProfileName;
  readonly metric: MetricName;
  /** In the metric's unit. */
  readonly target: number;
  readonly activationMetric: MetricName;
  /** In the unit of `activationMetric`. */
  readonly activationThreshold: number;
  /** A profile without scale to zero: active whatever its load. */
  readonly alwaysActive: boolean;
  /** -1: every device. */
  readonly gpuIndex: number;
  readonly aggregation: ReducerName;
  /** Absent: `sum` under AverageValue, `avg` under Value. */
  readonly replicaAggregation?: (typeof replicaReducers)[number];
  /** Absent: `workload` where there is a Kubernetes API, `node` elsewhere. */
  readonly scope?: Scope;
  readonly windowSeconds: number;
  readonly pollIntervalSeconds: number;
  /** The name under which KEDA registers the metric with the HPA. */
  readonly metricName: string;
  readonly podSelector?: string;
  readonly container?: string;
  readonly node?: string;
  readonly engine?: string;
  readonly enginePort?: number;
  readonly enginePath?: string;
  /** The URL that `endpoint`, `vllmEndpoint` or `tritonEndpoint` gave. */
  readonly endpoint?: string;
}

const defaultMetric: MetricName = "gpu_utilization";
const defaultTarget = 80;

/** Keys that stand for a metric and its target at once. */
const shorthands = {
  targetGpuUtilization: "gpu_utilization",
  targetMemoryUtilization: "memory_used_percent",
} as const satisfies Partial<Record<keyof TriggerValues, MetricName>>;
type Shorthand = keyof typeof shorthands;
const shorthandNames = Object.keys(shorthands) as Shorthand[];

const engineEndpoints = { vllmEndpoint: "vllm", tritonEndpoint: "triton" } as const;
const endpointNames = ["endpoint", "vllmEndpoint", "tritonEndpoint"] as const;

/** Keys that mean something in one scope alone; each asks for that scope by being there. */
const scopeOf = { node: "node", podSelector: "workload", container: "workload" } as const;
const scopedNames = Object.keys(scopeOf) as (keyof typeof scopeOf)[];

/**
 * Turns a ScaledObject's metadata into a trigger, or names every problem at once.
 *
 * @param metadata `scalerMetadata` as KEDA sends it: text to text.
 * @throws {Fault} `trigger-invalid` with one problem for each broken rule.
 */
export function parseTrigger(metadata: Readonly<Record<string, string>>): Trigger {
  const parsed = parseMetadata(metadata);
  const problems = [
    ...parsed.problems,
    ...shorthandProblems(parsed),
    ...profileProblems(parsed),
    ...endpointProblems(parsed),
    ...scopeProblems(parsed),
  ];
  if (problems.length > 0)
    throw new Fault(
      "trigger-invalid",
      `Cannot use the trigger's metadata: ${problems.join("; ")}; correct the ScaledObject`,
      { problems },
    );
  return filledIn(parsed.values);
}

function filledIn(values: TriggerValues): Trigger {
  const profile = values.profile === undefined ? undefined : profileOf(values.profile);
  const { metric, target } = aim(values, profile);
  const activationMetric = values.activationMetricType ?? metric;
  const threshold = values.activationThreshold ?? profileThreshold(activationMetric, profile);
  return {
    metric,
    target,
    activationMetric,
    activationThreshold: threshold,
    alwaysActive: profile?.scalesToZero === false,
    gpuIndex: values.gpuIndex ?? -1,
    aggregation: values.aggregation ?? "max",
    windowSeconds: values.windowSeconds ?? 0,
    pollIntervalSeconds: values.pollIntervalSeconds ?? 10,
    metricName: values.metricName ?? `gpu-${metric.replaceAll("_", "-")}`,
    ...whereGiven({
      profile: values.profile,
      replicaAggregation: values.replicaAggregation,
      scope: values.scope ?? impliedScope(values),
      podSelector: values.podSelector,
      container: values.container,
      node: values.node,
      ...engineKeys(values),
    }),
  };
}

type WhereGiven<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

function whereGiven<Fields extends object>(fields: Fields): WhereGiven<Fields> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as WhereGiven<Fields>;
}

/** A threshold in another unit than the profile's would be a number that nobody chose. */
function profileThreshold(metric: MetricName, profile: Profile | undefined): number {
  return profile !== undefined && hasUnitOf(metric, profile.metric)
    ? profile.activationThreshold
    : 0;
}

function engineKeys(values: TriggerValues) {
  const endpointName = endpointNames.find((name) => values[name] !== undefined);
  return {
    engine: values.engine ?? endpointEngine(endpointName),
    enginePort: values.enginePort,
    enginePath: values.enginePath,
    endpoint: endpointName && values[endpointName],
  };
}

/** Metric and target: the keys given, then the shorthand, then the profile, then the defaults. */
function aim(
  values: TriggerValues,
  profile: Profile | undefined,
): { readonly metric: MetricName; readonly target: number } {
  const shorthand = shorthandNames.find((name) => values[name] !== undefined);
  const named = values.metricType ?? (shorthand && shorthands[shorthand]);
  return {
    metric: named ?? profile?.metric ?? defaultMetric,
    target:
      values.targetValue ?? (shorthand && values[shorthand]) ?? profile?.target ?? defaultTarget,
  };
}

function hasUnitOf(one: MetricName, other: MetricName): boolean {
  return metricOf(one).unit === metricOf(other).unit;
}

function endpointEngine(endpointName: (typeof endpointNames)[number] | undefined) {
  return endpointName === undefined || endpointName === "endpoint"
    ? undefined
    : engineEndpoints[endpointName];
}

function impliedScope(values: TriggerValues): Scope | undefined {
  const name = scopedNames.find((scoped) => values[scoped] !== undefined);
  return name && scopeOf[name];
}

function shorthandProblems({ values, isGiven }: Parsed): readonly string[] {
  const given = shorthandNames.filter(isGiven);
  if (given.length > 1) return [`${given[0]}: must not be given beside ${given[1]}`];
  return given.flatMap((name) => {
    const metric = shorthands[name];
    const problems: string[] = [];
    if (values.metricType !== undefined && values.metricType !== metric)
      problems.push(`${name}: means metricType ${metric}, got metricType ${values.metricType}`);
    const [short, long] = [values[name], values.targetValue];
    if (short !== undefined && long !== undefined && short !== long)
      problems.push(`${name}: means targetValue ${short}, got targetValue ${long}`);
    return problems;
  });
}

/** A profile's target in another unit would be a number that nobody chose. */
function profileProblems({ values, isGiven }: Parsed): readonly string[] {
  const { profile: name, metricType } = values;
  if (name === undefined || metricType === undefined) return [];
  if (["targetValue" as const, ...shorthandNames].some(isGiven)) return [];
  const profile = profileOf(name);
  if (hasUnitOf(metricType, profile.metric)) return [];
  return [
    `targetValue: must be given where metricType ${metricType} (${metricOf(metricType).unit}) ` +
      `replaces ${profile.metric} (${metricOf(profile.metric).unit}) of profile ${name}`,
  ];
}

function endpointProblems({ values, isGiven }: Parsed): readonly string[] {
  const given = endpointNames.filter(isGiven);
  const [first, ...more] = given;
  if (first === undefined) return [];
  const problems = more.map((name) => `${name}: must not be given beside ${first}`);
  const engine = endpointEngine(first);
  if (engine !== undefined && values.engine !== undefined && values.engine !== engine)
    problems.push(`${first}: means engine ${engine}, got engine ${values.engine}`);
  if (isGiven("enginePort"))
    problems.push(`enginePort: must not be given beside ${first}, whose URL names the port`);
  return problems;
}

function scopeProblems({ values, isGiven }: Parsed): readonly string[] {
  const given = scopedNames.filter(isGiven);
  const asked = values.scope;
  if (asked !== undefined)
    return given
      .filter((name) => scopeOf[name] !== asked)
      .map((name) => `${name}: only has a meaning in scope ${scopeOf[name]}, got scope ${asked}`);
  const [first, ...more] = given;
  return first === undefined || isGiven("scope")
    ? []
    : more
        .filter((name) => scopeOf[name] !== scopeOf[first])
        .map((name) => `${name}: must not be given beside ${first}, which means scope node`);
}
