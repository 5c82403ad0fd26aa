/**
 * Every metadata key of a trigger: the one table that the parser, its messages and documents use;
 * and the parser, which checks each key on its own. Rules among keys come after.
 *
 * @module
 */
import * as v from "valibot";
import { type Aliases, didYouMean } from "#core/closest.ts";
import {
  metadataKeysMax,
  metadataValueBytesMax,
  quotedCharsMax,
  targetLeast,
  triggerNumberMax,
  windowSecondsMax,
} from "#core/limits.ts";
import { quoted } from "#core/quoted.ts";
import { engineAliases, metricAliases, reducerAliases } from "#metric/aliases.ts";
import { metricNames } from "#metric/catalogue.ts";
import { engineNames, seriesKinds, seriesReducers } from "#metric/engines.ts";
import { reducerNames } from "#metric/reduce.ts";
import { keyAliases } from "./key-aliases.ts";
import { profileNames, replicaReducers } from "./profiles.ts";
import {
  anyText,
  decimal,
  domainName,
  fileName,
  httpUrl,
  integer,
  jsonQuery,
  labelMatchers,
  labelName,
  labelSelector,
  namedSeries,
  oneOf,
  type Rule,
  ruleProblem,
  serverName,
  urlPath,
} from "./rules.ts";

export const engineSchemes = ["http", "https"] as const;

export const scopes = ["workload", "node", "cluster"] as const;

interface TriggerKey<Value> extends Rule<Value> {
  /** In words where it is not one value. */
  readonly default: string;
  readonly help: string;
}

function key<Value>(rule: Rule<Value>, normal: string, help: string): TriggerKey<Value> {
  return { ...rule, default: normal, help };
}

export const triggerKeys = {
  profile: key(
    oneOf<string>(profileNames),
    "none",
    "A set of defaults for a kind of workload: built in, or of --profiles",
  ),
  metricType: key(oneOf(metricNames, metricAliases), "gpu_utilization", "What to scale on"),
  targetValue: key(
    decimal(targetLeast, triggerNumberMax),
    "the profile's, else 80 for a percentage; must be given for any other metric",
    "What each replica should have, in the metric's unit",
  ),
  targetGpuUtilization: key(
    decimal(targetLeast, triggerNumberMax),
    "none",
    "Short for metricType gpu_utilization with this targetValue",
  ),
  targetMemoryUtilization: key(
    decimal(targetLeast, triggerNumberMax),
    "none",
    "Short for metricType memory_used_percent with this targetValue",
  ),
  activationThreshold: key(
    decimal(0, triggerNumberMax),
    "0, or the profile's",
    "Above this the workload is in use and kept from zero replicas; a metric of engines is in use while anything waits, runs or arrives there too",
  ),
  activationMetricType: key(
    oneOf(metricNames, metricAliases),
    "metricType",
    "What is compared with activationThreshold",
  ),
  gpuIndex: key(integer(-1, 65_535), "-1", "Only devices with this index on their node; -1: all"),
  aggregation: key(
    oneOf(reducerNames, reducerAliases),
    "the profile's, else max, or sum for workload_power_watts",
    "How the devices of one replica become one value",
  ),
  replicaAggregation: key(
    oneOf(replicaReducers, reducerAliases),
    "the profile's, else sum, or avg under metricType Value of the ScaledObject",
    "How the replicas become one value; in scope workload",
  ),
  scope: key(
    oneOf(scopes),
    "workload where there is a Kubernetes API, node elsewhere",
    "Whose devices count: the workload's, one node's, or the cluster's",
  ),
  windowSeconds: key(
    integer(0, windowSecondsMax),
    "0, or the profile's",
    "Mean over this time; 0: the newest value",
  ),
  pollIntervalSeconds: key(integer(1, 3600), "10", "How often a push stream repeats itself"),
  metricName: key(
    labelName,
    "gpu- and the metric with - for _; gpu-utilization for gpu_utilization",
    "The name under which KEDA registers the metric",
  ),
  podSelector: key(
    labelSelector,
    "the scale target's own",
    "Which pods are the workload; in scope workload",
  ),
  container: key(labelName, "all", "Only devices that this container holds; in scope workload"),
  node: key(domainName, "this node", "Whose devices count in scope node"),
  engine: key(
    oneOf(engineNames, engineAliases),
    "the profile's; prometheus for an endpoint that is read for engineMetric alone; or detected",
    "Which inference engine the pods run, or what stands in front of them",
  ),
  enginePort: key(integer(1, 65_535), "the engine's own", "Where the pods serve engine metrics"),
  enginePath: key(urlPath, "the engine's own", "Where the pods serve engine metrics"),
  engineScheme: key(
    oneOf(engineSchemes),
    "http; of a URL its own",
    "How the pods serve engine metrics: https is TLS, whose certificate is always verified",
  ),
  vllmEndpoint: key(httpUrl, "none", "A vLLM to read in place of the pods"),
  tritonEndpoint: key(httpUrl, "none", "A Triton to read in place of the pods"),
  endpoint: key(httpUrl, "none", "An engine or gateway to read in place of the pods"),
  engineMetric: key(
    namedSeries,
    "none",
    "A series of the engine's page to scale on, whatever it is, or one divided by another: means metricType engine_metric",
  ),
  engineMetricKind: key(
    oneOf(seriesKinds),
    "by the page's TYPE, else by the name's end",
    "What engineMetric is, both parts of a ratio: a gauge's value, what a counter gains in a second, or a histogram's quantile",
  ),
  engineReduce: key(
    oneOf([...seriesReducers, "count"], reducerAliases),
    "sum",
    "How several series of engineMetric on one page become one value, each part of a ratio for itself; p50 to p99: of a histogram, named with or without _bucket; count: how many values engineJsonPath leads to",
  ),
  engineJsonPath: key(
    jsonQuery,
    "none",
    "A number of a page in JSON to scale on: means metricType engine_metric and engine json",
  ),
  engineLabels: key(labelMatchers, "all", "Only series with these labels, at each engine"),
  engineTokenFile: key(
    fileName,
    "none",
    "Bearer token for the engine: a file of --engine-token-dir/<namespace of the ScaledObject>",
  ),
  engineBasicAuthFile: key(
    fileName,
    "none",
    "User and password for the engine, as user:password: a file of --engine-token-dir/<namespace of the ScaledObject>",
  ),
  engineCaFile: key(
    fileName,
    "the system's authorities",
    "PEM authorities of the engine's certificate: a file of --engine-ca-dir/<namespace of the ScaledObject>",
  ),
  engineServerName: key(
    serverName,
    "the URL's host; of pods their address",
    "The name that the engine's certificate must be for",
  ),
  scalerAddress: key(anyText, "none", "For KEDA itself"),
  enableTLS: key(anyText, "none", "For KEDA itself"),
  unsafeSsl: key(anyText, "none", "For KEDA itself"),
  caCert: key(anyText, "none", "For KEDA itself"),
  tlsCertFile: key(anyText, "none", "For KEDA itself"),
  tlsClientCert: key(anyText, "none", "For KEDA itself"),
  tlsClientKey: key(anyText, "none", "For KEDA itself"),
} as const satisfies Record<string, TriggerKey<unknown>>;

export type TriggerKeyName = keyof typeof triggerKeys;
export const triggerKeyNames = Object.keys(triggerKeys) as TriggerKeyName[];

/** The values of the keys that are there and keep their own rule. */
export type TriggerValues = {
  readonly [Name in TriggerKeyName]?: (typeof triggerKeys)[Name] extends Rule<infer Value>
    ? Value
    : never;
};

const fromEnv = "FromEnv";

/** What each key says by itself. */
export interface ParsedMetadata {
  readonly values: TriggerValues;
  /** Whether the key is there, with a good value or a bad one. */
  readonly has: (name: TriggerKeyName) => boolean;
  readonly problems: readonly string[];
}

/**
 * Checks each key on its own.
 *
 * KEDA sends `fooFromEnv` under that name with the text it resolved, so it means `foo`.
 *
 * @param metadata `scalerMetadata` as KEDA sends it: text to text.
 * @param profiles Names of the profiles there are now, which may be more than those built in.
 */
export function parseMetadata(
  metadata: Readonly<Record<string, string>>,
  profiles: readonly string[],
): ParsedMetadata {
  const entries = Object.entries(metadata);
  const values: { [Name in TriggerKeyName]?: unknown } = {};
  const keyOf = new Map<TriggerKeyName, string>();
  const problems: string[] = [];
  const has = (name: TriggerKeyName) => keyOf.has(name);

  if (entries.length > metadataKeysMax) {
    // Nobody wrote these by hand, and a message as long as they are helps nobody.
    problems.push(`metadata: must have at most ${metadataKeysMax} keys, got ${entries.length}`);
    return { values: {}, has, problems };
  }
  for (const [key, text] of entries) {
    const name = keyName(key);
    if (name === undefined) {
      problems.push(`${quoted(key)}: unknown key${guess(key, triggerKeyNames, keyAliases)}`);
      continue;
    }
    const earlier = keyOf.get(name);
    if (earlier !== undefined) {
      problems.push(`${key}: must not be given beside ${earlier}, which means the same`);
      continue;
    }
    keyOf.set(name, key);
    const rule = name === "profile" ? oneOf(profiles) : triggerKeys[name];
    const { value, problem } = parseValue(rule, text);
    if (problem === undefined) values[name] = value;
    else problems.push(`${key}: ${problem}`);
  }
  return { values: values as TriggerValues, has, problems };
}

function keyName(key: string): TriggerKeyName | undefined {
  const plain = key.endsWith(fromEnv) ? key.slice(0, -fromEnv.length) : key;
  // `in` would find `constructor`.
  return Object.hasOwn(triggerKeys, plain) ? (plain as TriggerKeyName) : undefined;
}

function parseValue(
  rule: Rule<unknown>,
  text: string,
): { readonly value?: unknown; readonly problem?: string } {
  const bytes = Buffer.byteLength(text);
  // Checked before the rule, so that no pattern meets a long text.
  if (bytes > metadataValueBytesMax)
    return { problem: `must have at most ${metadataValueBytesMax} bytes, got ${bytes}` };
  const { schema, choices = [], aliases } = rule;
  const parsed = v.safeParse(schema, text, { abortEarly: true, abortPipeEarly: true });
  if (parsed.success) return { value: parsed.output };
  return { problem: `${ruleProblem(rule, text)}${guess(text, choices, aliases)}` };
}

function guess(text: string, names: readonly string[], aliases?: Aliases): string {
  return text.length > quotedCharsMax ? "" : didYouMean(text, names, aliases);
}
