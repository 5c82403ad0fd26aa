/**
 * KEDA's ExternalScaler: metadata in, answer out. It decides nothing; the rooms below do.
 *
 * Three rules of KEDA's shape it. An error holds replicas where a 0 or a `false` would remove them, so
 * what is unknown is always an error. The integer fields are read only where the float is not above 0,
 * so both always mean the same. And KEDA asks for the spec of every trigger before it asks for any
 * value, so GetMetricSpec looks at metadata alone.
 *
 * @module
 */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import { assert } from "#core/assert.ts";
import type { Clock } from "#core/clock.ts";
import { Fault, type FaultCode } from "#core/fault.ts";
import type { ExternalScaler, ScaledObjectRef } from "#gen/externalscaler/externalscaler_pb.ts";
import { type Subscribe, updates } from "#rpc/streams.ts";
import type { Trigger } from "#trigger/trigger.ts";
import { checkObjectNames } from "./object-names.ts";
import { throttled } from "./throttle.ts";

export interface ExternalScalerOptions {
  readonly answerer: Answerer;
  /** @throws {Fault} `trigger-invalid`, with every problem at once. */
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  /** Tells when `parse` may give something else for the same metadata. */
  readonly onParseChange?: Subscribe | undefined;
  /** Least time between two updates of the push streams. */
  readonly pushSpacingMs: number;
  readonly clock: Clock;
  /** Called with each call whose metadata breaks a rule: KEDA shows its error to nobody. */
  readonly onRefused: (ref: WorkloadRef, fault: Fault) => void;
}

/** Faults that only another trigger or another process can cure: they end a push stream. */
const permanentFaults: ReadonlySet<FaultCode> = new Set([
  "trigger-invalid",
  "name-invalid",
  "scope-unavailable",
  "scope-forbidden",
]);

/** Every method begins with it. */
type TriggerOf = (ref: ScaledObjectRef) => Trigger;

export function externalScaler(options: ExternalScalerOptions): ServiceImpl<typeof ExternalScaler> {
  const { answerer, parse, onParseChange = () => () => {}, onRefused } = options;
  const triggerOf: TriggerOf = (ref) => {
    // A name that no object can have is of nobody, and may be long: nothing is kept of it.
    checkObjectNames(ref);
    try {
      return parse(ref.scalerMetadata);
    } catch (error) {
      if (error instanceof Fault) onRefused(ref, error);
      throw error;
    }
  };
  return {
    isActive: (ref) => ({ result: answerer.activity(ref, triggerOf(ref)).active }),

    streamIsActive: activityStream({ ...options, onParseChange, triggerOf }),

    getMetricSpec: (ref) => metricSpec(triggerOf(ref)),

    getMetrics({ scaledObjectRef, metricName }) {
      const ref = presentRef(scaledObjectRef);
      const trigger = triggerOf(ref);
      const name = ownMetricName(metricName, trigger);
      const { value } = answerer.value(ref, trigger);
      assert(Number.isFinite(value) && value >= 0, `a value is finite and not negative: ${value}`);
      // KEDA adds up whatever it gets, so there is exactly one.
      return {
        metricValues: [
          { metricName: name, metricValue: wholeAtLeast(value), metricValueFloat: value },
        ],
      };
    },

    /** Sends the spec at once, and again when a profile has changed what the metadata means. */
    async *streamMetricSpec(ref, context) {
      let sent: Trigger | undefined;
      for await (const _ of updates(context, onParseChange)) {
        const trigger = triggerOf(ref);
        if (!isSameSpec(trigger, sent)) yield metricSpec(trigger);
        sent = trigger;
      }
    },
  };
}

/**
 * Sends the answer at once, whenever it changes, and again every `pollIntervalSeconds`, because KEDA
 * drops a `true` that comes while it has no HPA for the trigger yet.
 *
 * While the answer is unknown the stream stays open and silent. KEDA reconnects after an error with a
 * back-off that grows to 60 s, so an outage answered by errors would delay the wake-up by up to a
 * minute after its end; an open stream wakes the workload with the first reading. Nothing is lost by
 * the silence: KEDA ignores a pushed `false`, and its polling calls get the error.
 */
function activityStream({
  answerer,
  triggerOf,
  onParseChange,
  pushSpacingMs,
  clock,
}: ExternalScalerOptions & {
  readonly onParseChange: Subscribe;
  readonly triggerOf: TriggerOf;
}) {
  const onAnswerChange = throttled(answerer.subscribe, pushSpacingMs, clock);

  /** Undefined while the answer cannot be known but may come. */
  const activity = (ref: WorkloadRef, trigger: Trigger): boolean | undefined => {
    try {
      return answerer.activity(ref, trigger).active;
    } catch (error) {
      if (error instanceof Fault && !permanentFaults.has(error.code)) return undefined;
      throw error;
    }
  };

  return async function* (ref: ScaledObjectRef, context: HandlerContext) {
    const { pollIntervalSeconds } = triggerOf(ref);
    let sent: boolean | undefined;
    const sources: readonly Subscribe[] = [
      onAnswerChange,
      onParseChange,
      // A profile may change what is watched: the client's next stream watches that.
      (onChange) => answerer.watchActivity(ref, triggerOf(ref), onChange),
      (onChange) =>
        clock.every(pollIntervalSeconds * 1_000, () => {
          sent = undefined;
          onChange();
        }),
    ];
    for await (const _ of updates(context, ...sources)) {
      const active = activity(ref, triggerOf(ref));
      const changed = active !== sent;
      sent = active;
      if (changed && active !== undefined) yield { result: active };
    }
  };
}

function metricSpec({ metricName, target }: Trigger) {
  const spec = { metricName, targetSize: wholeAtLeast(target), targetSizeFloat: target };
  return { metricSpecs: [spec] };
}

function isSameSpec(one: Trigger, other: Trigger | undefined): boolean {
  return one.metricName === other?.metricName && one.target === other.target;
}

/**
 * The integer beside a float: rounded up, so that 0.4 waiting requests are not "none" and a target
 * of 0.5 is not 0, which the API server refuses.
 */
function wholeAtLeast(value: number): bigint {
  return BigInt(Math.ceil(value));
}

function presentRef(ref: ScaledObjectRef | undefined): ScaledObjectRef {
  if (ref !== undefined) return ref;
  const rule = "the call has no scaledObjectRef; send it with the trigger's scalerMetadata";
  throw new Fault("ref-missing", `Cannot answer GetMetrics: ${rule}`, { method: "GetMetrics" });
}

/**
 * Checks that the caller asks for the metric which the trigger has, and returns the name as it was sent.
 *
 * KEDA never asks for another one, but while a profile changes it may hold the older name, and the HPA
 * would divide the new metric by the old target: an error holds replicas until KEDA has caught up.
 * The HPA's prefix `s<trigger index>-` may be there and case does not count, as in KEDA. An empty name,
 * in a call by hand, means the trigger's own, and so does the catalogue's (`gpu_utilization`). So does
 * `gpu-` before the catalogue's, the default of older versions: an HPA keeps that until KEDA writes it
 * again.
 */
function ownMetricName(requested: string, { metricName: known, metric }: Trigger): string {
  const own = [known, metric, `gpu-${metric.replaceAll("_", "-")}`].map((name) =>
    name.toLowerCase(),
  );
  const same = (name: string) => own.includes(name.toLowerCase());
  if (requested === "") return known;
  if (same(requested) || same(requested.replace(/^s\d+-/i, ""))) return requested;
  throw new Fault(
    "metric-unknown",
    `Cannot answer for metric ${JSON.stringify(requested)}: this trigger's metric is named ` +
      `"${known}"; ask for the name that GetMetricSpec gives`,
    { asked: requested, known },
  );
}
