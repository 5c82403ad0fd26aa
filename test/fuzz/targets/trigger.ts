/**
 * A ScaledObject's metadata: what KEDA sends of what any tenant may write.
 *
 * @module
 */

import * as v from "valibot";
import { triggerNumberMax, windowSecondsMax } from "#core/limits.ts";
import { metricNames } from "#metric/catalogue.ts";
import { engineNames, seriesText } from "#metric/engines.ts";
import { triggerKeyNames, triggerKeys } from "#trigger/keys.ts";
import { profileNames } from "#trigger/profiles.ts";
import type { Rule } from "#trigger/rules.ts";
import { parseTrigger, type Trigger } from "#trigger/trigger.ts";
import { triggerWarnings } from "#trigger/warnings.ts";
import { refusedMetadata } from "../../fixtures/refused-metadata.ts";
import { exampleMetadata, jsonBytes } from "../corpus.ts";
import type { Draws } from "../draws.ts";
import { mutateText, oddNumber, oddText } from "../mutate-bytes.ts";
import { outcomeOf, promise, promiseEqual, refusable, type Target } from "../target.ts";

type Metadata = Readonly<Record<string, string>>;

const words: readonly string[] = [
  ...metricNames,
  ...profileNames,
  ...engineNames,
  "max",
  "p95",
  "workload",
  "node",
  "cluster",
  "https",
  "gauge",
  "histogram",
  "count",
  "http://a:1/metrics",
  "https://user@a/",
  "app in (a,b),!c",
  "a=b",
  "pods > 3",
  'model="a",x=~"b|c.*"',
  "a_total / b_total",
  "$.models[*].size",
  "$[?@.a == 'b'].c",
  "/metrics?x=y",
  "80",
  "0.5",
];

function changedValue(draws: Draws, value: string, others: readonly string[]): string {
  const kinds = [
    () => draws.of(words),
    () => oddNumber(draws),
    () => oddText(draws),
    () => (others.length === 0 ? value : draws.of(others)),
    () => mutateWord(draws, Buffer.from(value), Buffer.from(draws.of(words))).toString(),
  ];
  return draws.of(kinds)();
}
const mutateWord = mutateText(words);

function metadataOf(input: Buffer): Metadata | undefined {
  try {
    const value: unknown = JSON.parse(input.toString());
    const isText = Object.values(value ?? {}).every((text) => typeof text === "string");
    return typeof value === "object" && value !== null && isText ? (value as Metadata) : undefined;
  } catch {
    // No JSON, which is how metadata is written down here and not how it comes.
    return undefined;
  }
}

function mutate(draws: Draws, input: Buffer, other: Buffer): Buffer {
  const entries = Object.entries(metadataOf(input) ?? {});
  const others = Object.entries(metadataOf(other) ?? {});
  for (let count = draws.few(5); count >= 0; count -= 1) {
    const at = draws.below(entries.length + 1);
    const [key, value] = entries[at] ?? [draws.of(triggerKeyNames), draws.of(words)];
    const values = others.map(([, text]) => text);
    const edits: readonly (() => unknown)[] = [
      () => entries.splice(at, 1),
      () => entries.splice(at, 1, [key, changedValue(draws, value, values)]),
      () => entries.push([draws.of(triggerKeyNames), changedValue(draws, value, values)]),
      () => entries.push(...others.slice(0, 1 + draws.below(3))),
      () => entries.splice(at, 1, [`${key}FromEnv`, value]),
      () => entries.splice(at, 1, [changedValue(draws, key, triggerKeyNames), value]),
    ];
    draws.of(edits)();
  }
  return jsonBytes(Object.fromEntries(entries));
}

export const triggerTarget: Target = {
  name: "trigger",
  testInputs: 1_800,
  share: 100_000,
  corpus: () =>
    [...exampleMetadata(), ...refusedMetadata.map(([, metadata]) => metadata)].map(jsonBytes),
  mutate,
  run: (input) => {
    const metadata = metadataOf(input);
    if (metadata === undefined) return "no metadata";
    const { result: trigger, fault } = refusable(["trigger-invalid"], () => parseTrigger(metadata));
    if (fault !== undefined) {
      const { problems } = fault.facts as { readonly problems: readonly string[] };
      promise(problems.length > 0, () => "a refusal names problems");
      return outcomeOf(problems[0] ?? "");
    }
    checkRanges(trigger);
    checkPrinted(trigger);
    const warnings = triggerWarnings(trigger, { metricType: "Value", minReplicas: 0 });
    return `${trigger.metric} ${trigger.engine} ${trigger.scope} ${warnings.map(({ code }) => code)}`;
  },
};

function checkRanges(trigger: Trigger): void {
  const within = (name: keyof Trigger, least: number, most: number) => {
    const value = Number(trigger[name]);
    promise(value >= least && value <= most, () => `${name} is from ${least} to ${most}: ${value}`);
  };
  within("target", 0.001, triggerNumberMax);
  within("activationThreshold", 0, triggerNumberMax);
  within("gpuIndex", -1, 65_535);
  within("windowSeconds", 0, windowSecondsMax);
  within("pollIntervalSeconds", 1, 3_600);
  if (trigger.enginePort !== undefined) within("enginePort", 1, 65_535);
  const { metric, metricName, endpoint } = trigger;
  promise(metricNames.includes(metric), () => `a metric is of the catalogue: ${metric}`);
  promise(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(metricName), () => `a name: ${metricName}`);
  if (endpoint === undefined) return;
  const { protocol, username, password } = new URL(endpoint);
  promise(/^https?:$/.test(protocol), () => `an endpoint is of HTTP: ${endpoint}`);
  promise(username + password === "", () => `an endpoint carries no password: ${endpoint}`);
}

/** What a trigger says, said again in metadata, is the same trigger. */
function checkPrinted(trigger: Trigger): void {
  const { result, fault } = refusable(["trigger-invalid"], () => parseTrigger(printed(trigger)));
  promise(fault === undefined, () => `what is printed is taken: ${fault?.message}`);
  promiseEqual(
    { ...result, endpoint: undefined },
    { ...trigger, endpoint: undefined },
    "a trigger that is printed and parsed again",
  );
}

function printed(trigger: Trigger): Metadata {
  const { profile, endpoint, engine, engineMetric, engineLabels, engineJson } = trigger;
  const texts: Record<string, string | undefined> = {
    profile,
    metricType: trigger.metric,
    targetValue: decimalText(trigger.target),
    activationMetricType: trigger.activationMetric,
    activationThreshold: decimalText(trigger.activationThreshold),
    gpuIndex: `${trigger.gpuIndex}`,
    aggregation: trigger.aggregation,
    replicaAggregation: trigger.replicaAggregation,
    scope: trigger.scope,
    windowSeconds: `${trigger.windowSeconds}`,
    pollIntervalSeconds: `${trigger.pollIntervalSeconds}`,
    metricName: trigger.metricName,
    podSelector: trigger.podSelector,
    container: trigger.container,
    node: trigger.node,
    enginePort: trigger.enginePort === undefined ? undefined : `${trigger.enginePort}`,
    enginePath: trigger.enginePath,
    engineScheme: trigger.engineScheme,
    endpoint,
    engine,
    engineMetric: engineMetric && seriesText(engineMetric),
    engineMetricKind: engineMetric?.kind,
    engineReduce: engineMetric?.reduce ?? engineJson?.reduce,
    engineJsonPath: engineJson?.path,
    engineLabels: engineLabels
      ?.map(
        ({ label, op, value }) =>
          `${label}${op}"${value.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}"`,
      )
      .join(","),
    engineTokenFile: trigger.engineTokenFile,
    engineBasicAuthFile: trigger.engineBasicAuthFile,
    engineCaFile: trigger.engineCaFile,
    engineServerName: trigger.engineServerName,
  };
  return Object.fromEntries(
    Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Digits without an exponent, as metadata has them. */
function decimalText(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(100).replace(/\.?0+$/, "") : text;
}

/** Each rule by itself: the pattern for the API server takes whatever the parser takes. */
export const ruleTarget: Target = {
  name: "rule",
  testInputs: 2_400,
  share: 100_000,
  corpus: () => words.map((word) => Buffer.from(word)),
  mutate: mutateText(words),
  run: (input) => {
    const text = input.toString();
    if (text.length > 4_096) return "too long";
    return Object.entries(triggerKeys)
      .filter(([name, rule]) => isTaken(name, rule, text))
      .map(([name]) => name)
      .join(" ");
  },
};

function isTaken(name: string, { schema, like, unlike, problemOf }: Rule<unknown>, text: string) {
  const { success } = v.safeParse(schema, text);
  if (!success) {
    promise(typeof (problemOf?.(text) ?? "") === "string", () => "a problem is a text");
    return false;
  }
  promise(like?.test(text) !== false, () => `${name} takes ${text}, its pattern does not`);
  promise(unlike?.test(text) !== true, () => `${name} takes ${text}, its pattern forbids it`);
  return true;
}
