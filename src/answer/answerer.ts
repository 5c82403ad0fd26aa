/**
 * Answers from what is in memory: selects devices, takes each one's part, reduces them by replica
 * and then over replicas, or all at once, and says how.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { FleetStore } from "#fleet/view.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { Scope, Trigger } from "#trigger/trigger.ts";
import type { Narrowing, WorkloadView } from "#workload/view.ts";
import type { Activity, Answerer, WorkloadRef } from "./answer.ts";
import { selectCluster } from "./cluster-scope.ts";
import { type GroupQuestion, groupActivity, groupValue } from "./group-answer.ts";
import { missingTracker } from "./missing.ts";
import { selectNode } from "./node-scope.ts";
import { type Asked, partsOf } from "./part.ts";
import { deviceSignal } from "./replica.ts";
import { replicasOf } from "./replicas.ts";
import { type WorkloadQuestion, workloadActivity, workloadValue } from "./workload-answer.ts";

export interface AnswererOptions {
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

export function answerer(options: AnswererOptions): Answerer {
  const { store, clock, localNode, asked: tell, workloads, synced = () => true } = options;
  const tracker = missingTracker(clock);
  const scopeOf = ({ scope = workloads ? "workload" : "node" }: Trigger): Scope => scope;

  /** What both questions begin with. */
  const begin = (trigger: Trigger, metric: MetricName) => {
    const asked = askedOf(trigger, metric);
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
    const { namespace, name, scalerMetadata } = ref;
    const workload = known.of(namespace, name, scalerMetadata, narrowing(trigger));
    const { gpuIndex, container = "" } = trigger;
    const key = (uid: string) => [uid, asked.metric, gpuIndex, container].join(" ");
    const where = `${workload.kind} ${namespace}/${name}`;
    const replicas = replicasOf(workload.pods, {
      metric: asked.metric,
      where,
      signal: deviceSignal(trigger, asked, view, nowMs),
      present: ({ uid }) => tracker.present(key(uid)),
      missing: ({ uid }) => tracker.missing(key(uid)),
    });
    return { trigger, asked, where, workload, replicas, nowMs };
  };

  return {
    value: (ref, trigger) => {
      const begun = begin(trigger, trigger.metric);
      return begun.scope === "workload" && workloads
        ? workloadValue(ofWorkload(ref, trigger, begun, workloads))
        : groupValue(ofGroup(trigger, begun));
    },
    activity: (ref, trigger) => {
      if (trigger.alwaysActive) return alwaysActive(trigger, scopeOf(trigger));
      const begun = begin(trigger, trigger.activationMetric);
      return begun.scope === "workload" && workloads
        ? workloadActivity(ofWorkload(ref, trigger, begun, workloads))
        : groupActivity(ofGroup(trigger, begun));
    },
    subscribe: store.subscribe,
  };
}

function askedOf({ windowSeconds }: Trigger, metric: MetricName): Asked {
  const row = metricOf(metric);
  if (row.source === "device") return { metric, row, windowSeconds };
  throw new Fault(
    "scope-unavailable",
    `Cannot answer ${metric}: it is read from the engines in the workload's pods, and this ` +
      "process reads no engines; use a device metric",
    { scope: "workload" },
  );
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

function narrowing({ podSelector, container }: Trigger): Narrowing {
  return {
    ...(podSelector === undefined ? {} : { podSelector }),
    ...(container === undefined ? {} : { container }),
  };
}

function alwaysActive({ activationMetric, profile }: Trigger, scope: Scope): Activity {
  return {
    active: true,
    explanation: {
      metric: activationMetric,
      scope,
      rule: `always active: profile ${profile} is never scaled to zero`,
      devices: [],
    },
  };
}
