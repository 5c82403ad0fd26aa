import { Fault } from "#core/fault.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import {
  type JsonMetric,
  jsonReducers,
  type LabelMatcher,
  type NamedSeries,
  type SeriesKind,
  type SeriesReducer,
} from "#metric/engines.ts";
import type { ReducerName } from "#metric/reduce.ts";
import { crossKeyProblems, impliedScope } from "./key-rules.ts";
import { type engineSchemes, parseMetadata, type scopes, type TriggerValues } from "./keys.ts";
import {
  builtInProfiles,
  type Profile,
  type ProfileTable,
  type replicaReducers,
} from "./profiles.ts";
import {
  defaultMetricName,
  type ResolvedMetrics,
  resolveMetrics,
  seriesReduce,
} from "./resolve.ts";

export type Scope = (typeof scopes)[number];

/** A ScaledObject's trigger with every default filled in, but for those the cluster decides. */
export interface Trigger extends ResolvedMetrics {
  readonly profile?: string | undefined;
  /** A profile without scale to zero: active whatever its load. */
  readonly alwaysActive: boolean;
  /** -1: every device. */
  readonly gpuIndex: number;
  readonly aggregation: ReducerName;
  /** Absent: `sum` under AverageValue, `avg` under Value. */
  readonly replicaAggregation?: (typeof replicaReducers)[number] | undefined;
  /** Absent: `workload` where there is a Kubernetes API, `node` elsewhere. */
  readonly scope?: Scope | undefined;
  readonly windowSeconds: number;
  readonly pollIntervalSeconds: number;
  /** The name under which KEDA registers the metric with the HPA. */
  readonly metricName: string;
  readonly podSelector?: string | undefined;
  readonly container?: string | undefined;
  readonly node?: string | undefined;
  readonly enginePort?: number | undefined;
  readonly enginePath?: string | undefined;
  /** Of the pods; absent: http. */
  readonly engineScheme?: (typeof engineSchemes)[number] | undefined;
  /** Only where `metric` or `activationMetric` is `engine_metric`: the series, as its page spells it. */
  readonly engineMetric?:
    | (NamedSeries & {
        readonly kind?: SeriesKind | undefined;
        readonly reduce: SeriesReducer;
      })
    | undefined;
  /** In place of `engineMetric`: a number of a page in JSON. */
  readonly engineJson?: JsonMetric | undefined;
  /** Which series count at each engine. */
  readonly engineLabels?: readonly LabelMatcher[] | undefined;
  /** A name below the token directory's folder of the ScaledObject's namespace; never a path. */
  readonly engineTokenFile?: string | undefined;
  /** The same of a file with `user:password`. */
  readonly engineBasicAuthFile?: string | undefined;
  /** A name below the authorities' folder of the ScaledObject's namespace; absent: the system's. */
  readonly engineCaFile?: string | undefined;
  /** A DNS name; absent: the URL's host, of pods their address. */
  readonly engineServerName?: string | undefined;
  /** What the ScaledObject's trigger should say as `metricType`, where the profile knows. */
  readonly advisedMetricType?: MetricType | undefined;
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
  const resolved = resolveMetrics(parsed.values, profile);
  const problems = [...parsed.problems, ...crossKeyProblems({ ...parsed, profile, resolved })];
  if (problems.length > 0)
    throw new Fault(
      "trigger-invalid",
      `Cannot use the trigger's metadata: ${problems.join("; ")}; correct the ScaledObject`,
      { problems },
    );
  return withDefaults(parsed.values, profile, resolved);
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

/** Of the devices of one replica. */
function usualAggregation(metric: MetricName): ReducerName {
  const row = metricOf(metric);
  return (row.source === "device" ? row.aggregation : undefined) ?? "max";
}

function withDefaults(
  values: TriggerValues,
  profile: Profile | undefined,
  resolved: ResolvedMetrics,
): Trigger {
  return {
    ...resolved,
    profile: values.profile,
    alwaysActive: profile?.scalesToZero === false,
    gpuIndex: values.gpuIndex ?? -1,
    aggregation: values.aggregation ?? profile?.aggregation ?? usualAggregation(resolved.metric),
    replicaAggregation: values.replicaAggregation ?? profile?.replicaAggregation,
    scope: values.scope ?? impliedScope(values),
    windowSeconds: values.windowSeconds ?? profile?.windowSeconds ?? 0,
    pollIntervalSeconds: values.pollIntervalSeconds ?? 10,
    metricName: values.metricName ?? defaultMetricName(resolved.metric),
    podSelector: values.podSelector,
    container: values.container,
    node: values.node,
    enginePort: values.enginePort,
    enginePath: values.enginePath,
    engineScheme: values.engineScheme,
    engineMetric: seriesOf(values, profile, resolved),
    engineJson: jsonOf(values),
    engineLabels:
      values.engineLabels ?? (values.engineJsonPath ? undefined : profile?.engineLabels),
    engineTokenFile: values.engineTokenFile,
    engineBasicAuthFile: values.engineBasicAuthFile,
    engineCaFile: values.engineCaFile,
    engineServerName: values.engineServerName,
    advisedMetricType: profile?.metric === resolved.metric ? profile.metricType : undefined,
  };
}

/** The named series, where one is read: a profile's may have been replaced. */
function seriesOf(
  values: TriggerValues,
  profile: Profile | undefined,
  { metric, activationMetric }: ResolvedMetrics,
): Trigger["engineMetric"] {
  const series = values.engineJsonPath ? undefined : (values.engineMetric ?? profile?.engineMetric);
  if (series === undefined || ![metric, activationMetric].includes("engine_metric"))
    return undefined;
  return {
    ...series,
    kind: values.engineMetricKind ?? profile?.engineMetricKind,
    reduce: seriesReduce(values) ?? profile?.engineReduce ?? "sum",
  };
}

function jsonOf({ engineJsonPath: path, engineReduce = "sum" }: TriggerValues) {
  const reduce = jsonReducers.find((one) => one === engineReduce);
  return path === undefined || reduce === undefined ? undefined : { path, reduce };
}
