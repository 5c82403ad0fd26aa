/**
 * Answers from what the fleet's store holds: selects devices, takes each one's part, reduces them.
 *
 * A process without the Kubernetes API cannot know whose pods hold a device, so it answers for a
 * node alone.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { FleetStore } from "#fleet/view.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import { reducers } from "#metric/reduce.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Activity, Answer, Answerer, DeviceShare, Explanation } from "./answer.ts";
import { enough, type Grouped, grouped } from "./known.ts";
import { selectNode } from "./node-scope.ts";
import { type Asked, type Part, type PartOf, partsOf } from "./part.ts";

export interface AnswererOptions {
  readonly store: Pick<FleetStore, "view" | "subscribe">;
  readonly clock: Clock;
  /** The node whose devices this process reads itself, if it does. */
  readonly localNode?: string;
  /** Told which readings an answer looks for, so that costly ones are taken while somebody asks. */
  readonly asked?: (readings: readonly ReadingName[]) => void;
}

/** Everything that value and activity have in common. */
interface Evidence {
  readonly asked: Asked;
  readonly where: string;
  readonly parts: readonly Part[];
  readonly groups: Grouped;
  readonly nowMs: number;
}

export function answerer(options: AnswererOptions): Answerer {
  const { store, clock, localNode, asked: tell } = options;
  const evidence = (trigger: Trigger, metric: MetricName): Evidence => {
    const nowMs = clock.monotonicMs();
    const asked = askedOf(trigger, metric);
    requireNodeScope(trigger, metric);
    tell?.(asked.row.needs);
    const view = store.view();
    const { node, devices } = selectNode(trigger, metric, { view, nowMs, localNode });
    const where = trigger.gpuIndex === -1 ? `node ${node}` : `GPU ${trigger.gpuIndex} of ${node}`;
    const parts = partsOf(devices, asked, view);
    return { asked, where, parts, groups: grouped(parts, asked, where), nowMs };
  };
  return {
    value: (_ref, trigger) => valueFrom(trigger, evidence(trigger, trigger.metric)),
    activity: (_ref, trigger) =>
      trigger.alwaysActive
        ? alwaysActive(trigger)
        : activityFrom(trigger, evidence(trigger, trigger.activationMetric)),
    subscribe: store.subscribe,
  };
}

function askedOf({ windowSeconds }: Trigger, metric: MetricName): Asked {
  const row = metricOf(metric);
  if (row.source === "device") return { metric, row, windowSeconds };
  throw new Fault(
    "scope-unavailable",
    `Cannot answer ${metric}: it is read from the engines in the workload's pods, and this ` +
      "process has no Kubernetes API to find them; run it in the cluster, or use a device metric",
    { scope: "workload" },
  );
}

function requireNodeScope({ scope = "node" }: Trigger, metric: MetricName): void {
  if (scope === "node") return;
  const need =
    scope === "workload"
      ? "it needs the Kubernetes API to find the workload's pods"
      : "it needs the devices of every node, which agents send to a scaler in the cluster";
  throw new Fault(
    "scope-unavailable",
    `Cannot answer ${metric} in scope ${scope}: ${need}, and this process has none; ` +
      "run it in the cluster, or set metadata scope to node",
    { scope },
  );
}

function valueFrom(trigger: Trigger, evidence: Evidence): Answer {
  const { asked, where, groups, nowMs } = evidence;
  const parts = enough(groups, nowMs, asked, where);
  const reduced = reduce(trigger, parts);
  // KEDA carries nothing below 0. Only a temperature can be, and no target is, so 0 decides alike.
  const value = Math.max(reduced, 0);
  const sent = value === reduced ? "" : `, sent as 0, for KEDA carries no negative number`;
  return { value, explanation: explained(trigger, evidence, `${reduced}${sent}`) };
}

function activityFrom(trigger: Trigger, evidence: Evidence): Activity {
  const { asked, where, groups, nowMs } = evidence;
  const { activationThreshold } = trigger;
  const [first, ...rest] = groups.known;
  const reduced = first && reduce(trigger, [first, ...rest]);
  const active = reduced !== undefined && reduced > activationThreshold;
  // What is not known could be in use. What is left out of the value is left out here too: KEDA
  // drops the value when the activity fails, and one broken device must not block it for ever.
  if (!active) enough(groups, nowMs, asked, where);
  const compared = `${reduced}, ${active ? "above" : "not above"} the activation threshold`;
  const rule = `${compared} ${activationThreshold}`;
  return { active, explanation: explained(trigger, evidence, rule) };
}

function alwaysActive(trigger: Trigger): Activity {
  return {
    active: true,
    explanation: {
      metric: trigger.activationMetric,
      scope: trigger.scope ?? "node",
      rule: `always active: profile ${trigger.profile} is never scaled to zero`,
      devices: [],
    },
  };
}

function reduce({ aggregation }: Trigger, [first, ...rest]: Known): number {
  const reduced = reducers[aggregation]([first.value, ...rest.map(({ value }) => value)]);
  assert(Number.isFinite(reduced), `${aggregation} of plausible readings is finite`);
  return reduced;
}
type Known = readonly [PartOf<"known">, ...PartOf<"known">[]];

function explained(
  { aggregation }: Trigger,
  { asked: { metric, row, windowSeconds }, where, parts, groups, nowMs }: Evidence,
  outcome: string,
): Explanation {
  const { known } = groups;
  const window = windowSeconds > 0 ? `means over ${windowSeconds} s` : "newest readings";
  return {
    metric,
    scope: "node",
    rule:
      `${aggregation} of ${metric} in ${row.unit} over ${known.length} of ${parts.length} devices ` +
      `of ${where}, ${window}: ${outcome}`,
    devices: parts.map((part) => share(part, nowMs)),
  };
}

function share(part: Part, nowMs: number): DeviceShare {
  const { node, uuid, index, sampledAtMs } = part.device;
  const identity = { node, uuid, index, ageMs: nowMs - sampledAtMs };
  return part.state === "known"
    ? { ...identity, value: part.value }
    : { ...identity, reason: part.reason };
}
