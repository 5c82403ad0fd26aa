/**
 * Answers from what is in memory: reads the devices or engines that a trigger means, and makes a
 * value or an activity of them.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault, unlessFault } from "#core/fault.ts";
import type { FleetStore } from "#fleet/view.ts";
import type { ReadingName } from "#metric/reading.ts";
import { parseTrigger, type Scope, type Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload, WorkloadView } from "#workload/workload.ts";
import type { Activity, Answer, Answerer } from "./answer.ts";
import {
  clusterReadings,
  type DeviceGroupReadings,
  deviceGroupActivity,
  deviceGroupValue,
  nodeReadings,
} from "./device-group.ts";
import {
  type EndpointReadings,
  endpointActivity,
  endpointReadings,
  endpointValue,
  watchActivity,
} from "./endpoint.ts";
import { podEngineResults } from "./engine.ts";
import type { EngineReader } from "./engine-reader.ts";
import { type MissingTracker, missingTracker } from "./missing.ts";
import { podDevicesResult } from "./pod-devices.ts";
import {
  type DeviceQuery,
  type EngineQuery,
  lookUpWorkload,
  type MetricQuery,
  metricQuery,
} from "./query.ts";
import { scopeOf } from "./scope.ts";
import { type ParseTrigger, withWarnings } from "./warnings.ts";
import {
  type WorkloadReadings,
  workloadActivity,
  workloadReadings,
  workloadValue,
} from "./workload.ts";

export interface AnswererOptions {
  /** Where the readings of devices are. */
  readonly store: Pick<FleetStore, "view" | "subscribe">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** The node whose devices this process reads itself, if it does. */
  readonly localNode?: string | undefined;
  /** Called with the readings that an answer needs: costly ones are taken while somebody asks. */
  readonly asked?: ((readings: readonly ReadingName[]) => void) | undefined;
  /** Where there is a Kubernetes API. */
  readonly workloads?: WorkloadView | undefined;
  /** Whether the store has its first full view of all agents; left out where there are none. */
  readonly synced?: (() => boolean) | undefined;
  /** In a process that reads engines. */
  readonly engines?: EngineReader | undefined;
  /** As for the trigger that asks: the other triggers of its object are looked at too. */
  readonly parse?: ParseTrigger | undefined;
}

/** What an answer is made of. */
type AnswerReadings = WorkloadReadings | EndpointReadings | DeviceGroupReadings;

export function answerer(options: AnswererOptions): Answerer {
  const { store, clock, engines, workloads, parse = parseTrigger } = options;
  const tracker = missingTracker(clock);
  const read = (query: MetricQuery): AnswerReadings =>
    query.source === "device"
      ? readDevices(query, options, tracker)
      : readEngines(query, options, tracker);

  return {
    value: (ref, trigger) => {
      const query = metricQuery(ref, trigger, "value");
      const readings = read(query);
      const answer = answerOf(readings);
      const workload =
        readings.scope === "workload"
          ? readings.workload
          : workloads && unlessFault(() => lookUpWorkload(query, workloads));
      return withWarnings(answer, query, workload, parse);
    },
    activity: (ref, trigger) =>
      trigger.alwaysActive
        ? alwaysActive(trigger, scopeOf(trigger, workloads !== undefined))
        : activityOf(read(metricQuery(ref, trigger, "activity"))),
    subscribe: store.subscribe,
    watchActivity: (ref, trigger, listener) =>
      engines === undefined ? () => undefined : watchActivity(ref, trigger, engines, listener),
  };
}

function readDevices(
  query: DeviceQuery,
  options: AnswererOptions,
  tracker: MissingTracker,
): WorkloadReadings | DeviceGroupReadings {
  const { store, clock, localNode, asked, workloads, synced } = options;
  const scope = scopeOf(query.trigger, workloads !== undefined);
  const lacking = workloads === undefined ? lackingFor(scope, localNode) : undefined;
  if (lacking !== undefined) throw scopeUnavailable(query, scope, lacking);
  asked?.(query.row.needs);
  if (synced?.() === false) throw fleetSyncing(query);
  const view = store.view();
  const nowMs = clock.monotonicMs();
  if (scope === "workload" && workloads !== undefined) {
    const workload = lookUpWorkload(query, workloads);
    const results = podsWithDevices(workload).map((pod) =>
      podDevicesResult(pod, query, view, nowMs),
    );
    return workloadReadings(query, workload, results, tracker, nowMs);
  }
  return scope === "cluster"
    ? clusterReadings(query, view, nowMs)
    : nodeReadings(query, view, nowMs, localNode);
}

function readEngines(
  query: EngineQuery,
  options: AnswererOptions,
  tracker: MissingTracker,
): WorkloadReadings | EndpointReadings {
  const { clock, engines, workloads } = options;
  const url = query.trigger.endpoint;
  const scope = scopeOf(query.trigger, workloads !== undefined);
  const nowMs = clock.monotonicMs();
  if (engines === undefined) throw enginesUnavailable(query, scope);
  if (url !== undefined) return endpointReadings(query, url, engines, tracker, nowMs);
  if (workloads === undefined || scope !== "workload") throw enginesUnavailable(query, scope);
  const workload = lookUpWorkload(query, workloads);
  const results = podEngineResults(query, workload, engines, nowMs);
  return workloadReadings(query, workload, results, tracker, nowMs);
}

/**
 * Where some pods request a device, one that requests none has no part in the load of devices: a job
 * or a proxy whose labels the selector fits too.
 */
function podsWithDevices({ pods }: Workload): readonly Pod[] {
  const requesting = pods.filter((pod) =>
    [pod, ...(pod.members ?? [])].some(({ requestsDevice }) => requestsDevice),
  );
  return requesting.length === 0 ? pods : requesting;
}

function answerOf(readings: AnswerReadings): Answer {
  if (readings.scope === "workload") return workloadValue(readings);
  return readings.scope === "endpoint" ? endpointValue(readings) : deviceGroupValue(readings);
}

function activityOf(readings: AnswerReadings): Activity {
  if (readings.scope === "workload") return workloadActivity(readings);
  return readings.scope === "endpoint" ? endpointActivity(readings) : deviceGroupActivity(readings);
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

/** What a process without the Kubernetes API lacks for a scope of devices. */
function lackingFor(scope: Scope, localNode: string | undefined): string | undefined {
  if (scope === "workload") return "it needs the Kubernetes API to find the workload's pods";
  return scope === "cluster" && localNode !== undefined
    ? "it needs the devices of every node, which agents send to a scaler in the cluster"
    : undefined;
}

function scopeUnavailable({ metric }: DeviceQuery, scope: Scope, lacking: string): Fault {
  return new Fault(
    "scope-unavailable",
    `Cannot answer ${metric} in scope ${scope}: ${lacking}, and this process has none; ` +
      "run it in the cluster, or set metadata scope to node",
    { scope },
  );
}

function enginesUnavailable({ metric }: EngineQuery, scope: Scope): Fault {
  return new Fault(
    "scope-unavailable",
    `Cannot answer ${metric} in scope ${scope}: it is read from the engines in the workload's ` +
      "pods, for which this process needs the Kubernetes API and scope workload; run it in the " +
      "cluster, or give the engine's URL in metadata endpoint",
    { scope },
  );
}

function fleetSyncing({ metric }: DeviceQuery): Fault {
  const waitingFor = "the first report of every agent";
  return new Fault(
    "fleet-syncing",
    `Cannot answer ${metric}: this process has just started and waits for ${waitingFor}; ` +
      "ask again in a few seconds, or look into its log for agents that cannot be reached",
    { waitingFor },
  );
}
