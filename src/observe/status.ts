/**
 * What the process knows and has decided, as JSON: for the status page, for `explain` and `top`, and for
 * whoever else reads the HTTP port. It holds no metadata and no secret. Times are milliseconds since 1970.
 *
 * @module
 */
import type { Activity, Answer } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import type { Clock } from "#core/clock.ts";
import type { FaultCode } from "#core/fault.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { Readings } from "#metric/reading.ts";
import type { DeviceCondition, DeviceHealth, DeviceSample } from "#metric/sample.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import { adviceFor, type WorkloadAdvice } from "./advice/advice.ts";
import type { UsageHistory } from "./advice/usage-store.ts";
import type { DecisionChange, DecisionOutcome } from "./decision.ts";
import type { IdentifiedStatus } from "./decision-log.ts";
import { hpaText } from "./hpa-text.ts";
import type { Coverage, DecisionPoint, QuestionStatus } from "./trigger-history.ts";

/** Whose devices a process shows: one node's. */
export interface StatusNode {
  readonly name: string;
  /** Of its newest sample. */
  readonly ageMs: number;
  readonly sampleIntervalMs: number;
  readonly driverVersion?: string | undefined;
  /** Whether the kubelet has ever listed who holds what. */
  readonly knowsHolders: boolean;
  readonly devices: readonly StatusDevice[];
}

export interface StatusDevice extends DeviceSample {
  readonly holders: readonly StatusHolder[];
}

interface StatusHolder {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly sharedBy?: number | undefined;
}

/** An agent that is listed and cannot be heard. */
export interface StatusAgent {
  readonly address: string;
  readonly node?: string | undefined;
  readonly silentMs: number;
  readonly reason: string;
}

/** Where the status comes from; each function tells what is known now. */
export interface StatusSource {
  readonly nodes: () => readonly StatusNode[];
  readonly unavailable: () => readonly StatusAgent[];
  /** Empty in a process that answers no triggers. */
  readonly triggers: () => readonly IdentifiedStatus[];
  /** How an object's workload was used; `undefined` where nothing was observed. */
  readonly usageOf: (object: ScaledName) => UsageHistory | undefined;
  /** What an object's devices draw together; `undefined` where nothing was measured. */
  readonly powerWattsOf: (object: ScaledName) => number | undefined;
  /** Answers both questions of a trigger now, with the whole explanation. */
  readonly evaluate: (status: IdentifiedStatus) => readonly DecisionOutcome[];
}

/** What the process is. */
export interface StatusProcess {
  readonly version: string;
  readonly role: string;
  /** The node whose devices it reads itself. */
  readonly nodeName: string;
  readonly startedAtMs: number;
  /** Why it cannot answer now. */
  readonly unready: () => string | undefined;
}

/** `GET /api/status` */
export interface Status {
  readonly process: Omit<StatusProcess, "unready"> & { readonly unready?: string | undefined };
  readonly atMs: number;
  readonly nodes: readonly NodeStatusRow[];
  readonly agents: readonly AgentStatusRow[];
  readonly triggers: readonly TriggerStatusRow[];
}

export interface NodeStatusRow {
  readonly name: string;
  readonly sampledAtMs: number;
  readonly sampleIntervalMs: number;
  readonly driverVersion?: string | undefined;
  readonly knowsHolders: boolean;
  readonly devices: readonly DeviceStatusRow[];
}

export interface DeviceStatusRow {
  readonly uuid: string;
  readonly index: number;
  readonly model: string;
  readonly parentUuid?: string | undefined;
  readonly health: DeviceHealth;
  readonly conditions: readonly DeviceCondition[];
  readonly readings: Readings;
  readonly holders: readonly StatusHolder[];
}

export interface AgentStatusRow {
  readonly address: string;
  readonly node?: string | undefined;
  readonly silentSinceMs: number;
  readonly reason: string;
}

/** One trigger of a ScaledObject or ScaledJob. */
export interface TriggerStatusRow {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** Absent when the metadata breaks a rule. */
  readonly trigger?: TriggerSummary | undefined;
  readonly value?: QuestionStatus<number> | undefined;
  readonly activity?: QuestionStatus<boolean> | undefined;
  readonly workload?: WorkloadSummary | undefined;
  readonly coverage?: Coverage | undefined;
  /** Of the object's devices together, whatever the trigger scales on. */
  readonly powerWatts?: number | undefined;
  readonly dataAtMs?: number | undefined;
  readonly askedAtMs?: number | undefined;
  readonly warnings: readonly TriggerWarning[];
  readonly refusals: { readonly [Code in FaultCode]?: number };
}

interface TriggerSummary {
  readonly metricName: string;
  readonly metric: MetricName;
  readonly unit: string;
  readonly target: number;
  readonly activationMetric: MetricName;
  readonly activationThreshold: number;
  readonly profile?: string | undefined;
  readonly engine?: string | undefined;
  readonly windowSeconds: number;
}

interface WorkloadSummary {
  readonly kind: string;
  readonly metricType: MetricType;
  readonly replicas: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly desiredReplicas?: number | undefined;
}

/** `GET /api/history`: of each trigger, by its id. */
export interface TriggerHistoryRow {
  readonly id: string;
  readonly points: readonly DecisionPoint[];
  readonly changes: readonly DecisionChange[];
}

/** `GET /api/explain?namespace=…&name=…` */
export interface ExplainedTrigger extends TriggerStatusRow {
  readonly points: readonly DecisionPoint[];
  readonly changes: readonly DecisionChange[];
  /** What the HPA does with the value; absent where it does nothing with it. */
  readonly hpaText?: string | undefined;
  /** How the answers of this moment came about; absent where there is no answer. */
  readonly valueExplanation?: Explanation | undefined;
  readonly activityExplanation?: Explanation | undefined;
}

export interface StatusViews {
  readonly status: () => Status;
  readonly history: () => readonly TriggerHistoryRow[];
  /** Of one object's triggers; empty where none is known by that name. */
  readonly explain: (object: ScaledName) => readonly ExplainedTrigger[];
  /** For one object, or for each that something is recommended for. */
  readonly advice: (object?: ScaledName) => Promise<readonly WorkloadAdvice[]>;
}

export interface ScaledName {
  readonly namespace: string;
  readonly name: string;
}

export function statusViews(
  source: StatusSource,
  process: StatusProcess,
  clock: Pick<Clock, "wallMs">,
): StatusViews {
  return {
    status: () => {
      const atMs = clock.wallMs();
      return {
        process: { ...process, unready: process.unready() },
        atMs,
        nodes: source.nodes().map((node) => nodeRow(node, atMs)),
        agents: source.unavailable().map(({ silentMs, ...agent }) => ({
          ...agent,
          silentSinceMs: Math.round(atMs - silentMs),
        })),
        triggers: source.triggers().map((status) => triggerRow(status, source)),
      };
    },
    history: () => source.triggers().map(({ id, points, changes }) => ({ id, points, changes })),
    explain: (object) =>
      source
        .triggers()
        .filter(({ ref }) => isOf(ref, object))
        .map((status) => explained(status, source)),
    advice: async (object) => {
      const triggers = source.triggers();
      if (object !== undefined)
        return advised(
          triggers.filter(({ ref }) => isOf(ref, object)),
          source,
        );
      return adviceOfAll(triggers, source);
    },
  };
}

/** An object at a time: all of a cluster would keep calls waiting. */
async function adviceOfAll(
  triggers: readonly IdentifiedStatus[],
  source: StatusSource,
): Promise<readonly WorkloadAdvice[]> {
  const all: WorkloadAdvice[] = [];
  const objects = Map.groupBy(triggers, ({ ref: { namespace, name } }) => `${namespace}/${name}`);
  for (const statuses of objects.values()) {
    all.push(...advised(statuses, source).filter((one) => one.recommendations.length > 0));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return all;
}

function isOf(ref: ScaledName, { namespace, name }: ScaledName): boolean {
  return ref.namespace === namespace && ref.name === name;
}

/** For the object of these triggers; empty where it was not observed. */
function advised(
  statuses: readonly IdentifiedStatus[],
  { usageOf }: StatusSource,
): readonly WorkloadAdvice[] {
  const [first] = statuses;
  const history = first && usageOf(first.ref);
  if (first === undefined || history === undefined) return [];
  const { namespace, name } = first.ref;
  return [{ namespace, name, ...adviceFor(history, statuses) }];
}

function nodeRow({ ageMs, devices, ...node }: StatusNode, atMs: number): NodeStatusRow {
  return { ...node, sampledAtMs: Math.round(atMs - ageMs), devices: devices.map(deviceRow) };
}

function deviceRow(device: StatusDevice): DeviceStatusRow {
  const { uuid, index, model, parentUuid, health, conditions, readings, holders } = device;
  return { uuid, index, model, parentUuid, health, conditions, readings, holders };
}

function triggerRow(
  status: IdentifiedStatus,
  { powerWattsOf }: Pick<StatusSource, "powerWattsOf">,
): TriggerStatusRow {
  const { id, ref, trigger, value, activity, workload, coverage } = status;
  const { dataAtMs, askedAtMs, warnings, refusals } = status;
  return {
    id,
    namespace: ref.namespace,
    name: ref.name,
    trigger: trigger && triggerSummary(trigger),
    value,
    activity,
    workload,
    coverage,
    powerWatts: powerWattsOf(ref),
    dataAtMs,
    askedAtMs,
    warnings,
    refusals: Object.fromEntries(refusals),
  };
}

function triggerSummary(trigger: Trigger): TriggerSummary {
  const { metricName, metric, target, activationMetric, activationThreshold } = trigger;
  const { profile, engine, windowSeconds } = trigger;
  const { unit } = metricOf(metric);
  return {
    metricName,
    metric,
    unit,
    target,
    activationMetric,
    activationThreshold,
    profile,
    engine,
    windowSeconds,
  };
}

/** The answers of this moment take the place of those that were remembered. */
function explained(status: IdentifiedStatus, source: StatusSource): ExplainedTrigger {
  const { evaluate, triggers } = source;
  const answers = evaluate(status).flatMap((outcome) => ("fault" in outcome ? [] : [outcome]));
  const now = triggers().find(({ id }) => id === status.id) ?? status;
  const answerTo = (question: string): Answer | Activity | undefined =>
    answers.find((outcome) => outcome.question === question)?.answer;
  return {
    ...triggerRow(now, source),
    points: now.points,
    changes: now.changes,
    hpaText: hpaText(now),
    valueExplanation: answerTo("value")?.explanation,
    activityExplanation: answerTo("activity")?.explanation,
  };
}
