import { Fault } from "#core/fault.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import type { MetricName } from "#metric/catalogue.ts";
import type { EngineName, LabelMatcher } from "#metric/engines.ts";
import type { ReducerName } from "#metric/reduce.ts";
import { aimOf } from "./aim.ts";
import { endpointOf, endpointProblems, engineOf, engineProblems } from "./engine-rules.ts";
import { whereGiven } from "./given.ts";
import { impliedScope, profileProblems, scopeProblems, shorthandProblems } from "./key-rules.ts";
import type { scopes, TriggerValues } from "./keys.ts";
import { parseMetadata } from "./metadata.ts";
import {
  builtInProfiles,
  type Profile,
  type ProfileTable,
  type replicaReducers,
  type seriesReducers,
} from "./profiles.ts";

export type Scope = (typeof scopes)[number];

/** A ScaledObject's trigger with every default filled in, but for those the cluster decides. */
export interface Trigger {
  readonly profile?: string;
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
  /** Absent: found out from the pods' pages. */
  readonly engine?: EngineName;
  readonly enginePort?: number;
  readonly enginePath?: string;
  /** The URL that `endpoint`, `vllmEndpoint` or `tritonEndpoint` gave. */
  readonly endpoint?: string;
  /** Only where `metric` or `activationMetric` is `engine_metric`: the series, as its page spells it. */
  readonly engineMetric?: {
    readonly metric: string;
    readonly reduce: (typeof seriesReducers)[number];
  };
  /** Which series count at each engine. */
  readonly engineLabels?: readonly LabelMatcher[];
  /** A name below the token directory's folder of the ScaledObject's namespace; never a path. */
  readonly engineTokenFile?: string;
  /** What the ScaledObject's trigger should say as `metricType`, where the profile knows. */
  readonly advisedMetricType?: MetricType;
}

/**
 * Turns a ScaledObject's metadata into a trigger, or names every problem at once.
 *
 * @param metadata `scalerMetadata` as KEDA sends it: text to text.
 * @param profiles Every profile there is now.
 * @throws {Fault} `trigger-invalid` with one problem for each broken rule.
 */
export function parseTrigger(
  metadata: Readonly<Record<string, string>>,
  profiles: ProfileTable = builtInProfiles,
): Trigger {
  const parsed = parseMetadata(metadata, [...profiles.keys()]);
  const { profile: name } = parsed.values;
  const profile = name === undefined ? undefined : profiles.get(name);
  const problems = [
    ...parsed.problems,
    ...shorthandProblems(parsed),
    ...profileProblems(parsed, profile),
    ...endpointProblems(parsed),
    ...engineProblems(parsed, profile),
    ...scopeProblems(parsed),
  ];
  if (problems.length > 0)
    throw new Fault(
      "trigger-invalid",
      `Cannot use the trigger's metadata: ${problems.join("; ")}; correct the ScaledObject`,
      { problems },
    );
  return filledIn(parsed.values, profile);
}

/**
 * The same with profiles that may change. One metadata object gives the same trigger until they do,
 * so that an open stream can ask again for nothing.
 */
export function triggerParser(
  profiles: () => ProfileTable,
): (metadata: Readonly<Record<string, string>>) => Trigger {
  let table = profiles();
  let parsed = new WeakMap<object, Trigger>();
  return (metadata) => {
    const now = profiles();
    if (now !== table) {
      table = now;
      parsed = new WeakMap();
    }
    const trigger = parsed.get(metadata) ?? parseTrigger(metadata, table);
    parsed.set(metadata, trigger);
    return trigger;
  };
}

function filledIn(values: TriggerValues, profile: Profile | undefined): Trigger {
  const aim = aimOf(values, profile);
  return {
    ...aim,
    alwaysActive: profile?.scalesToZero === false,
    gpuIndex: values.gpuIndex ?? -1,
    aggregation: values.aggregation ?? profile?.aggregation ?? "max",
    windowSeconds: values.windowSeconds ?? profile?.windowSeconds ?? 0,
    pollIntervalSeconds: values.pollIntervalSeconds ?? 10,
    metricName: values.metricName ?? `gpu-${aim.metric.replaceAll("_", "-")}`,
    ...whereGiven({
      profile: values.profile,
      replicaAggregation: values.replicaAggregation ?? profile?.replicaAggregation,
      scope: values.scope ?? impliedScope(values),
      podSelector: values.podSelector,
      container: values.container,
      node: values.node,
      engine: engineOf(values, profile),
      enginePort: values.enginePort,
      enginePath: values.enginePath,
      endpoint: endpointOf(values),
      engineMetric: seriesOf(values, profile),
      engineLabels: values.engineLabels ?? profile?.engineLabels,
      engineTokenFile: values.engineTokenFile,
      advisedMetricType: profile?.metric === aim.metric ? profile.metricType : undefined,
    }),
  };
}

/** The named series, where one is asked for: a profile's may have been replaced. */
function seriesOf(values: TriggerValues, profile: Profile | undefined): Trigger["engineMetric"] {
  const { metric, activationMetric } = aimOf(values, profile);
  const name = values.engineMetric ?? profile?.engineMetric;
  if (name === undefined || ![metric, activationMetric].includes("engine_metric")) return undefined;
  return { metric: name, reduce: values.engineReduce ?? profile?.engineReduce ?? "sum" };
}
