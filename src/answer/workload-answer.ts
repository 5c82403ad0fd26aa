/**
 * Answers of scope `workload`: the devices inside each replica become one value, then the replicas
 * do.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { desiredReplicas, type HpaSide } from "#kubernetes/hpa.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workload } from "#workload/workload.ts";
import type { Activity, Answer, Explanation, PodShare, WorkloadShare } from "./answer.ts";
import { type Combined, combine } from "./combine.ts";
import { windowWords } from "./device-value.ts";
import type { Wanted } from "./part.ts";
import type { Replica } from "./replicas.ts";
import { listed } from "./words.ts";

export interface WorkloadQuestion {
  readonly trigger: Trigger;
  readonly asked: Wanted;
  /** For people. */
  readonly where: string;
  readonly workload: Workload;
  readonly replicas: readonly Replica[];
  readonly nowMs: number;
}

export function workloadValue(question: WorkloadQuestion): Answer {
  const { workload, replicas } = question;
  const hpa = hpaSide(question);
  const { value, notes } = combined(question, hpa);
  const reducer = reducerOf(question);
  const what = `${reducer} over ${inWords(replicas)} of ${perReplica(question)}`;
  const rule = `${what}: ${value}${notes.map((note) => `; ${note}`).join("")}`;
  const explanation = explained(question, rule);
  if (workload.kind === "ScaledJob") return { value, explanation };
  const share = { ...explanation.workload, desiredReplicas: desiredReplicas(value, hpa) };
  return { value, explanation: { ...explanation, workload: share } };
}

/**
 * Whether anybody uses the workload: its busiest replica decides for an intensity, the total for a
 * quantity.
 *
 * A workload of which no replica is ready yet is active. It is started because somebody wants it,
 * and taken to zero now it would never serve: a model may load for longer than the cooldown lasts.
 *
 * What is missing is never taken for idle: at first it is an error, later it counts as in use.
 */
export function workloadActivity(question: WorkloadQuestion): Activity {
  const { asked, trigger, replicas } = question;
  const answer = (active: boolean, rule: string) => ({
    active,
    explanation: explained(question, rule),
  });
  if (replicas.length === 0) return answer(false, "not active: there are no pods");
  if (replicas.every(({ state }) => state === "warming"))
    return answer(true, `active: all ${replicas.length} pods are still starting`);

  const { known, missing } = sorted(replicas);
  const isQuantity = asked.row.kind === "quantity";
  const partial = isQuantity ? known.reduce((sum, value) => sum + value, 0) : Math.max(...known);
  const running = replicas.reduce((sum, { engine }) => sum + (engine?.running ?? 0), 0);
  const isAbove = known.length > 0 && partial > trigger.activationThreshold;
  const active = isAbove || running > 0;
  if (!active && missing.some(({ sinceMs }) => question.nowMs - sinceMs <= missingGraceMs))
    throw tooFew(question, "what is missing could be in use, and what is known is not");
  // As in the value, where such a replica counts as the target. An error would be told to KEDA for as
  // long as the replica is missing, and KEDA drops the value with it: nothing could scale in.
  if (!active && missing.length > 0)
    return answer(true, `active: missing for long and so counted as in use: ${missing.length}`);
  const what = `${isQuantity ? "sum" : "max"} over ${inWords(replicas)} of ${perReplica(question)}`;
  const reduced = known.length > 0 ? partial : "unknown";
  return answer(active, `${what}: ${reduced}, ${comparison(trigger, isAbove, running)}`);
}

/** In words, why something is active or not. */
export function comparison(
  { activationThreshold }: Trigger,
  isAbove: boolean,
  running: number,
): string {
  const compared = `${isAbove ? "above" : "not above"} the activation threshold ${activationThreshold}`;
  return running > 0 ? `${compared}; ${running} requests are worked on` : compared;
}

function combined(question: WorkloadQuestion, hpa: HpaSide): Combined {
  const { replicas, nowMs } = question;
  if (replicas.length === 0) return { value: 0, notes: ["there are no pods"] };
  const { known, missing } = sorted(replicas);
  if (known.length < missing.length)
    throw tooFew(question, "at least half of those that count must be known");
  const overdue = missing.filter(({ sinceMs }) => nowMs - sinceMs > missingGraceMs).length;
  const awaited = missing.length - overdue;
  return combine({ known, awaited, overdue }, reducerOf(question), hpa);
}

function sorted(replicas: readonly Replica[]) {
  const known = replicas.flatMap((one) => (one.state === "counted" ? [one.value] : []));
  const missing = replicas.flatMap((one) => (one.state === "missing" ? [one] : []));
  return { known, missing };
}

function tooFew({ asked, where, replicas }: WorkloadQuestion, rule: string): Fault {
  const { known, missing } = sorted(replicas);
  const names = missing.map(({ pod, reason }) => `pod ${pod.name}: ${reason}`);
  return new Fault(
    "data-missing",
    `Cannot answer ${asked.metric} for ${where}: ${known.length} of ` +
      `${known.length + missing.length} replicas are known, and ${rule}; look into ${listed(names)}`,
    { known: known.length, missing: names },
  );
}

export function reducerOf({ trigger, workload }: Pick<WorkloadQuestion, "trigger" | "workload">) {
  return trigger.replicaAggregation ?? (workload.metricType === "Value" ? "avg" : "sum");
}

function hpaSide({ trigger, workload }: WorkloadQuestion): HpaSide {
  const { metricType, replicas, pods } = workload;
  const isReady = ({ containers }: (typeof pods)[number]) => containers.every(({ ready }) => ready);
  const readyPods = pods.filter(isReady).length;
  return { metricType, target: trigger.target, replicas, readyPods };
}

function inWords(replicas: readonly Replica[]): string {
  const count = (state: Replica["state"]) => replicas.filter((one) => one.state === state).length;
  const counted = count("counted") + count("missing");
  const warming = count("warming");
  return `${count("counted")} of ${counted} replicas${warming > 0 ? ` (${warming} warming)` : ""}`;
}

function perReplica({ trigger, asked, replicas }: WorkloadQuestion): string {
  if (asked.row.source === "engine")
    return `${asked.metric} in ${asked.row.unit} of each pod's engine, ${windowWords(asked)}`;
  const shared = replicas
    .flatMap(({ devices }) => devices)
    .some(({ sharedBy = 1 }) => sharedBy > 1);
  const how =
    asked.row.kind === "quantity"
      ? "each holder of a shared one counting its equal part"
      : "a shared one counting whole for each holder";
  return (
    `the ${trigger.aggregation} of ${asked.metric} in ${asked.row.unit} over a pod's devices` +
    `${shared ? `, ${how}` : ""}, ${windowWords(asked)}`
  );
}

function explained(
  { asked, workload, replicas, nowMs }: WorkloadQuestion,
  rule: string,
): Explanation & { readonly workload: WorkloadShare } {
  const { kind, metricType, replicas: count, minReplicas, maxReplicas, ageMs } = workload;
  const pods = replicas.map((one) => podShare(one, nowMs));
  const engines = replicas.flatMap(({ engine }) => engine ?? []);
  return {
    metric: asked.metric,
    scope: "workload",
    rule,
    devices: replicas.flatMap(({ devices }) => devices),
    ...(asked.row.source === "engine" ? { engines } : {}),
    workload: { kind, metricType, replicas: count, minReplicas, maxReplicas, ageMs, pods },
  };
}

function podShare(replica: Replica, nowMs: number): PodShare {
  const { pod, state } = replica;
  const named = { name: pod.name, state, ...(pod.node === undefined ? {} : { node: pod.node }) };
  if (replica.state === "counted") return { ...named, value: replica.value };
  if (replica.state === "warming") return named;
  return { ...named, reason: replica.reason, missingMs: nowMs - replica.sinceMs };
}
