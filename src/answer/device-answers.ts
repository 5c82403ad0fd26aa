/**
 * Answers for metrics of devices: those that the workload's pods hold, or all of a node or of the
 * cluster.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { FleetStore } from "#fleet/view.ts";
import type { MetricName } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { Scope, Trigger } from "#trigger/trigger.ts";
import type { WorkloadView } from "#workload/workload.ts";
import type { Activity, Answer, WorkloadRef } from "./answer.ts";
import { selectCluster } from "./cluster-scope.ts";
import { type GroupQuestion, groupActivity, groupValue } from "./group-answer.ts";
import type { MissingTracker } from "./missing.ts";
import { selectNode } from "./node-scope.ts";
import { type Asked, partsOf } from "./part.ts";
import { deviceSignal } from "./replica.ts";
import { type WorkloadQuestion, workloadActivity, workloadValue } from "./workload-answer.ts";
import { lookUpWorkload, workloadQuestion } from "./workload-question.ts";

/** Where the readings of devices come from. */
export interface DeviceSources {
  readonly store: Pick<FleetStore, "view" | "subscribe">;
  readonly clock: Clock;
  /** The node whose devices this process reads itself, if it does. */
  readonly localNode?: string;
  /** Told which readings an answer looks for, so that costly ones are taken while somebody asks. */
  readonly asked?: (readings: readonly ReadingName[]) => void;
  /** Where there is a Kubernetes API. */
  readonly workloads?: WorkloadView;
  /** Whether the store has its first full view of all agents; left out where there are none. */
  readonly synced?: () => boolean;
}

export interface DeviceAnswersOptions extends DeviceSources {
  readonly tracker: MissingTracker;
}

export interface DeviceAnswers {
  readonly scopeOf: (trigger: Trigger) => Scope;
  readonly value: (ref: WorkloadRef, trigger: Trigger, asked: Asked) => Answer;
  readonly activity: (ref: WorkloadRef, trigger: Trigger, asked: Asked) => Activity;
}

export function deviceAnswers(options: DeviceAnswersOptions): DeviceAnswers {
  const { store, clock, localNode, asked: tell, workloads, tracker } = options;
  const { synced = () => true } = options;
  const scopeOf = ({ scope = workloads ? "workload" : "node" }: Trigger): Scope => scope;

  /** What both questions begin with. */
  const begin = (trigger: Trigger, asked: Asked) => {
    const { metric } = asked;
    const scope = scopeOf(trigger);
    if (scope === "workload" && workloads === undefined)
      throw blind(metric, scope, "it needs the Kubernetes API to find the workload's pods");
    if (scope === "cluster" && workloads === undefined && localNode !== undefined)
      throw blind(
        metric,
        scope,
        "it needs the devices of every node, which agents send to a scaler in the cluster",
      );
    tell?.(asked.row.needs);
    if (!synced()) throw syncing(metric);
    return { asked, scope, view: store.view(), nowMs: clock.monotonicMs() };
  };
  type Begun = ReturnType<typeof begin>;

  const ofGroup = (trigger: Trigger, { asked, scope, view, nowMs }: Begun): GroupQuestion => {
    if (scope === "cluster") {
      const selection = selectCluster(trigger, asked, view, nowMs);
      return { trigger, asked, scope, selection, nowMs };
    }
    const { node, devices } = selectNode(trigger, asked.metric, { view, nowMs, localNode });
    const where = trigger.gpuIndex === -1 ? `node ${node}` : `GPU ${trigger.gpuIndex} of ${node}`;
    const selection = { where, parts: partsOf(devices, asked, view), absent: [] };
    return { trigger, asked, scope: "node", selection, nowMs };
  };

  const ofWorkload = (
    ref: WorkloadRef,
    trigger: Trigger,
    { asked, view, nowMs }: Begun,
    known: WorkloadView,
  ): WorkloadQuestion => {
    const workload = lookUpWorkload(ref, trigger, known);
    const signal = deviceSignal(trigger, asked, view, nowMs);
    return workloadQuestion({ ref, trigger, asked, workload, signal, tracker, nowMs });
  };

  return {
    scopeOf,
    value: (ref, trigger, asked) => {
      const begun = begin(trigger, asked);
      return begun.scope === "workload" && workloads
        ? workloadValue(ofWorkload(ref, trigger, begun, workloads))
        : groupValue(ofGroup(trigger, begun));
    },
    activity: (ref, trigger, asked) => {
      const begun = begin(trigger, asked);
      return begun.scope === "workload" && workloads
        ? workloadActivity(ofWorkload(ref, trigger, begun, workloads))
        : groupActivity(ofGroup(trigger, begun));
    },
  };
}

function blind(metric: MetricName, scope: Scope, need: string): Fault {
  return new Fault(
    "scope-unavailable",
    `Cannot answer ${metric} in scope ${scope}: ${need}, and this process has none; ` +
      "run it in the cluster, or set metadata scope to node",
    { scope },
  );
}

function syncing(metric: MetricName): Fault {
  const waitingFor = "the first report of every agent";
  return new Fault(
    "fleet-syncing",
    `Cannot answer ${metric}: this process has just started and waits for ${waitingFor}; ` +
      "ask again in a few seconds, or look into its log for agents that cannot be reached",
    { waitingFor },
  );
}
