/**
 * Answers of scope `workload`: each pod's devices or engine became one value, and here the replicas
 * do.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { desiredReplicas, type HpaInputs } from "#kubernetes/hpa.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workload } from "#workload/workload.ts";
import type { Activity, Answer } from "./answer.ts";
import {
  activationText,
  type DeviceShare,
  type EngineShare,
  type Explanation,
  listed,
  mergedText,
  type PodShare,
  type WorkloadShare,
  windowText,
} from "./explanation.ts";
import type { MissingTracker } from "./missing.ts";
import { type DeviceQuery, type MetricQuery, windowMsOf } from "./query.ts";
import {
  type PodResult,
  type Replica,
  type ReplicaReduction,
  reduceReplicas,
  replicaReducer,
  replicasOf,
} from "./replicas.ts";

/** A workload whose pods have been read. */
export interface WorkloadReadings {
  readonly scope: "workload";
  readonly query: MetricQuery;
  readonly workload: Workload;
  /** The workload, for people. */
  readonly where: string;
  readonly replicas: readonly Replica[];
  readonly nowMs: number;
}

/** @throws {Fault} `devices-unheld` when all is known and no pod that counts holds a device. */
export function workloadReadings(
  query: MetricQuery,
  workload: Workload,
  pods: readonly PodResult[],
  tracker: MissingTracker,
  nowMs: number,
): WorkloadReadings {
  const where = `${workload.kind} ${query.ref.namespace}/${query.ref.name}`;
  const replicas = replicasOf(pods, query, where, tracker);
  return { scope: "workload", query, workload, where, replicas, nowMs };
}

export function workloadValue(readings: WorkloadReadings): Answer {
  const { query, workload, replicas } = readings;
  const hpa = hpaInputs(workload, query.trigger);
  const { value, notes } = reduced(readings, hpa);
  if (value === undefined) throw unholdable(readings, notes);
  const reducer = replicaReducer(query.trigger, workload);
  const what = `${reducer} over ${replicasText(replicas)} of ${perReplicaText(readings)}`;
  const rule = `${what}: ${value}${notes.map((note) => `; ${note}`).join("")}`;
  const explanation = explained(readings, rule);
  if (workload.kind === "ScaledJob") return { value, explanation };
  const share = { ...explanation.workload, desiredReplicas: desiredReplicas(value, hpa) };
  return { value, explanation: { ...explanation, workload: share } };
}

/** @throws {Fault} `data-missing` when fewer than half of the replicas are known. */
function reduced(readings: WorkloadReadings, hpa: HpaInputs): ReplicaReduction {
  const { query, workload, replicas, nowMs } = readings;
  if (replicas.length === 0 && workload.replicas === 0)
    return { value: 0, notes: ["there are no pods, and none is asked for"] };
  const { known, missing } = byState(replicas);
  if (known.length < missing.length)
    throw dataMissing(readings, "at least half of those that count must be known");
  const overdue = missing.filter(({ sinceMs }) => nowMs - sinceMs > missingGraceMs).length;
  const awaited = missing.length - overdue;
  return reduceReplicas({ known, awaited, overdue }, replicaReducer(query.trigger, workload), hpa);
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
export function workloadActivity(readings: WorkloadReadings): Activity {
  const { query, workload, replicas, nowMs } = readings;
  const { row, trigger } = query;
  const answer = (active: boolean, rule: string) => ({
    active,
    explanation: explained(readings, rule),
  });
  if (replicas.length === 0 && workload.replicas === 0)
    return answer(false, "not active: there are no pods, and none is asked for");
  if (replicas.length === 0)
    return answer(
      true,
      `active: ${workload.replicas} replicas are asked for, and no pod is there yet`,
    );
  if (replicas.every(({ state }) => state === "warming"))
    return answer(true, `active: all ${replicas.length} pods are still starting`);

  const { known, missing } = byState(replicas);
  const isQuantity = row.kind === "quantity";
  const partial = isQuantity ? known.reduce((sum, value) => sum + value, 0) : Math.max(...known);
  const activity = replicas.reduce((sum, { engine }) => sum + (engine?.activity ?? 0), 0);
  const isAbove = partial > trigger.activationThreshold;
  const active = isAbove || activity > 0;
  if (!active && missing.some(({ sinceMs }) => nowMs - sinceMs <= missingGraceMs))
    throw dataMissing(readings, "what is missing could be in use, and what is known is not");
  if (!active && isDraining(readings))
    return answer(true, `active: ${workload.drainingPods} pods that are being deleted still serve`);
  // As in the value, where such a replica counts as the target. KEDA would get an error for as long
  // as the replica is missing, and drops the value with it: nothing could scale in.
  if (!active && missing.length > 0)
    return answer(true, `active: missing for long and so counted as in use: ${missing.length}`);
  const reducer = isQuantity ? "sum" : "max";
  const what = `${reducer} over ${replicasText(replicas)} of ${perReplicaText(readings)}`;
  const outcome = known.length > 0 ? partial : "unknown";
  return answer(active, `${what}: ${outcome}, ${activationText(trigger, isAbove, activity)}`);
}

function byState(replicas: readonly Replica[]) {
  const known = replicas.flatMap((one) => (one.state === "counted" ? [one.value] : []));
  const missing = replicas.flatMap((one) => (one.state === "missing" ? [one] : []));
  return { known, missing };
}

function dataMissing({ query, where, replicas }: WorkloadReadings, rule: string): Fault {
  const { known, missing } = byState(replicas);
  const names = missing.map(({ pod, reason }) => `pod ${pod.name}: ${reason}`);
  return new Fault(
    "data-missing",
    `Cannot answer ${query.metric} for ${where}: ${known.length} of ` +
      `${known.length + missing.length} replicas are known, and ${rule}; look into ${listed(names)}`,
    { known: known.length, missing: names },
  );
}

/**
 * Whether pods that are being deleted still serve somebody. Those that go because the workload was
 * taken to zero would wake it again.
 *
 * @throws {Fault} `workload-syncing` while it may have been.
 */
function isDraining(readings: WorkloadReadings): boolean {
  const { drainingPods, isAtZero } = readings.workload;
  if (drainingPods === 0 || isAtZero === true) return false;
  if (isAtZero === undefined) throw countSyncing(readings);
  return true;
}

function countSyncing({ query, where, workload }: WorkloadReadings): Fault {
  const { namespace, name } = query.ref;
  const waitingFor = "its count of replicas";
  return new Fault(
    "workload-syncing",
    `Cannot answer ${query.metric} for ${where}: ${workload.drainingPods} pods that are being ` +
      `deleted still serve, and ${waitingFor}, which may be 0 by now, is read again; ask again in ` +
      "a moment",
    { namespace, name, waitingFor },
  );
}

/** The HPA would change the replicas by whatever is sent: by an error it does not. */
function unholdable({ query, where }: WorkloadReadings, notes: readonly string[]): Fault {
  return new Fault(
    "data-missing",
    `Cannot answer ${query.metric} for ${where}: ${notes.join("; ")}; wait until its pods are replaced`,
    { known: 0, missing: notes },
  );
}

/** What the HPA sees of a workload beside the value. */
export function hpaInputs(workload: Workload, { target }: Trigger): HpaInputs {
  const { metricType, replicas, statusReplicas, readyPods, tolerances } = workload;
  return { metricType, target, replicas, statusReplicas, readyPods, tolerances };
}

function replicasText(replicas: readonly Replica[]): string {
  const count = (state: Replica["state"]) => replicas.filter((one) => one.state === state).length;
  const counted = count("counted") + count("missing");
  const warming = count("warming");
  return `${count("counted")} of ${counted} replicas${warming > 0 ? ` (${warming} warming)` : ""}`;
}

/** What was reduced inside each replica, and how. */
function perReplicaText({ query, replicas }: WorkloadReadings): string {
  const { metric, row, trigger } = query;
  if (query.source === "engine")
    return `${metric} in ${row.unit} of each pod's engine, ${windowText(windowMsOf(query))}${mergedText(enginesOf(replicas))}`;
  const devices = replicas.flatMap((one) => one.devices);
  return (
    `the ${trigger.aggregation} of ${metric} in ${row.unit} over a pod's devices` +
    `${sharedText(devices, query)}, ${windowText(windowMsOf(query))}`
  );
}

/** How devices count that several pods share. */
function sharedText(devices: readonly DeviceShare[], query: DeviceQuery): string {
  const shared = devices.filter(({ sharedBy = 1 }) => sharedBy > 1);
  if (shared.length === 0) return "";
  if (!query.row.isShared) return ", a shared one counting whole for each holder";
  const attributed = shared.filter(({ part }) => part !== undefined).length;
  if (attributed === 0) return ", each holder of a shared one counting its equal part";
  const which =
    attributed === shared.length ? "" : ` (${attributed} of ${shared.length}, else equal)`;
  const when = windowMsOf(query) > 0 ? " now" : "";
  return `, each holder of a shared one counting the part that its processes use${when}${which}`;
}

function explained(
  { query, workload, replicas, nowMs }: WorkloadReadings,
  rule: string,
): Explanation & { readonly workload: WorkloadShare } {
  const { kind, metricType, replicas: count, minReplicas, maxReplicas, ageMs } = workload;
  const pods = replicas.map((one) => podShare(one, nowMs));
  const engines = enginesOf(replicas);
  return {
    metric: query.metric,
    scope: "workload",
    rule,
    devices: replicas.flatMap(({ devices }) => devices),
    engines: query.source === "engine" ? engines : undefined,
    workload: { kind, metricType, replicas: count, minReplicas, maxReplicas, ageMs, pods },
  };
}

function enginesOf(replicas: readonly Replica[]): readonly EngineShare[] {
  return replicas.flatMap(({ engine }) => engine ?? []);
}

function podShare(replica: Replica, nowMs: number): PodShare {
  const { pod, state } = replica;
  const share = { name: pod.name, node: pod.node, state };
  if (replica.state === "counted") return { ...share, value: replica.value };
  if (replica.state === "warming") return share;
  return { ...share, reason: replica.reason, missingMs: nowMs - replica.sinceMs };
}
