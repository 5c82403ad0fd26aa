/**
 * Whether what a trigger reads can tell the load, and what could.
 *
 * @module
 */
import { adviceBusyMinutesLeast, adviceMinutesLeast, waitingMinutesLeast } from "#core/limits.ts";
import type { MetricName } from "#metric/catalogue.ts";
import { profileOf } from "#trigger/profiles.ts";
import {
  type AdviceContext,
  type AdviceRule,
  type AdvisedTrigger,
  minutesText,
  type Recommendation,
  rangeText,
  readsSignal,
} from "./recommendation.ts";
import { fullCache, roomyCache, saturatedUtilization, type UsageSummary } from "./usage-summary.ts";

/** Of the most that a replica ran without a queue: room for what comes while the next one loads. */
const headroomShare = 0.7;
const memoryMetrics: readonly MetricName[] = ["memory_used_percent", "memory_used_mib"];
/** Percent: what an engine takes at its start is most of the device. */
const highMemory = 60;
/** Points of a percentage that are no change. */
const flatPoints = 5;
/** Points of a percentage, and a ratio, that are one. */
const movedPoints = 20;
const movedRatio = 1.3;
/** Engines that tell nothing of their requests. */
const silentEngines: readonly string[] = ["ollama"];

export const memoryConstant: AdviceRule = (context) => {
  const { summary, triggers } = context;
  const { memory, busyMinutes } = summary;
  const trigger = triggers.find(({ metric }) => memoryMetrics.includes(metric));
  const load = variedLoad(summary);
  if (trigger === undefined || memory === undefined || load === undefined) return undefined;
  if (busyMinutes < adviceBusyMinutesLeast || memory.p5 < highMemory) return undefined;
  if (memory.p95 - memory.p5 > flatPoints) return undefined;
  return {
    code: "memory-constant",
    level: "change",
    text: `Do not scale on ${trigger.metric}; ${instead(context)}`,
    why: `Memory stayed at ${rangeText(memory, "%")} while ${load}: the server takes it at its start, and it says nothing of the load`,
    evidence: { memoryP5Percent: memory.p5, memoryP95Percent: memory.p95, busyMinutes },
    metadata: requestMetadata(context),
  };
};

export const utilizationSaturated: AdviceRule = (context) => {
  const { summary, triggers, engine } = context;
  const { utilization } = summary;
  const trigger = triggers.find(({ metric }) => metric === "gpu_utilization");
  if (trigger === undefined || !isSaturated(summary)) return undefined;
  if (utilization === undefined || (engine === undefined && isSteady(summary))) return undefined;
  const { saturatedMinutes, knownMinutes } = utilization;
  const load = variedLoad(summary, false);
  return {
    code: "utilization-saturated",
    level: "change",
    text: `Do not scale on ${trigger.metric}; ${instead(context)}`,
    why:
      `Utilization was ${saturatedUtilization} % or more on average of all replicas in ` +
      `${minutesText(saturatedMinutes, knownMinutes)}${load === undefined ? "" : `, while ${load}`}: ` +
      "it is the share of time in which any kernel ran, and cannot tell a load from three times that",
    evidence: { saturatedMinutes, knownMinutes, utilizationP50Percent: utilization.p50 },
    metadata: requestMetadata(context),
  };
};

export const engineUnread: AdviceRule = (context) => {
  const { triggers, engine, summary } = context;
  const readsDevicesAlone = triggers.every(({ source }) => source === "device");
  if (engine === undefined || !readsDevicesAlone || triggers.length === 0) return undefined;
  if (silentEngines.includes(engine)) return undefined;
  if (memoryConstant(context) ?? utilizationSaturated(context)) return undefined;
  return {
    code: "engine-unread",
    level: "change",
    text: `Read the engine: ${instead(context)}`,
    why: `Its pods seem to run ${engine}, which tells how many requests run and wait, and its triggers read ${metricsText(triggers)} alone`,
    evidence: { observedMinutes: summary.observedMinutes },
    metadata: requestMetadata(context),
  };
};

export const steadyWork: AdviceRule = ({ summary, triggers, engine }) => {
  const { utilization, busyMinutes, idleMinutes, longestBusyMinutes } = summary;
  if (engine !== undefined || summary.requests !== undefined || !isSteady(summary))
    return undefined;
  const isRight = ({ metric, metricType }: AdvisedTrigger) =>
    metric === "gpu_utilization" && metricType === "Value";
  if (utilization === undefined || triggers.length === 0 || triggers.some(isRight))
    return undefined;
  return {
    code: "steady-work",
    level: "change",
    text: "Take profile training with metricType Value, which keeps the workers while all of them work, or KEDA's own trigger on the queue of jobs",
    why: `It was busy in ${minutesText(busyMinutes, busyMinutes + idleMinutes, "minutes")}, ${longestBusyMinutes} of them without a pause, with utilization at ${rangeText(utilization, "%")}: that is training or a batch, and a sum over replicas grows with each one that is added`,
    evidence: {
      busyMinutes,
      idleMinutes,
      longestBusyMinutes,
      utilizationP5Percent: utilization.p5,
      utilizationP95Percent: utilization.p95,
    },
    metadata: { profile: "training" },
    metricType: "Value",
  };
};

export const cacheFull: AdviceRule = ({ summary, triggers, engine }) => {
  const cache = summary.requests?.cache;
  if (cache === undefined || readsSignal(triggers, "kv_cache_usage")) return undefined;
  const { fullWaitingMinutes, waitingMinutes, most } = cache;
  if (!isMost(fullWaitingMinutes, waitingMinutes)) return undefined;
  const { target } = profileOf("vllm-kv-cache");
  return {
    code: "cache-full",
    level: "change",
    text: `Add a second trigger on kv_cache_usage with target ${target}`,
    why: `The key-value cache was at ${fullCache} % or more in ${minutesText(fullWaitingMinutes, waitingMinutes, "minutes in which requests waited")}: the cache ends the batch, so that few long requests fill a replica`,
    evidence: { fullWaitingMinutes, waitingMinutes, cacheMostPercent: most },
    metadata:
      engine === "vllm"
        ? { profile: "vllm-kv-cache" }
        : { metricType: "kv_cache_usage", targetValue: `${target}` },
  };
};

export const cacheRoomy: AdviceRule = ({ summary, triggers, engine }) => {
  const cache = summary.requests?.cache;
  if (cache === undefined) return undefined;
  const { roomyWaitingMinutes, waitingMinutes, most } = cache;
  if (!isMost(roomyWaitingMinutes, waitingMinutes)) return undefined;
  const flag = engine === "vllm" ? " (--max-num-seqs)" : "";
  const readsCache = readsSignal(triggers, "kv_cache_usage") !== undefined;
  return {
    code: "cache-roomy",
    level: readsCache ? "change" : "note",
    text: readsCache
      ? "Do not scale on kv_cache_usage alone: put a trigger on requests beside it"
      : `Scale on requests, not on the cache; a larger batch of the engine${flag} may serve more on each replica`,
    why: `The key-value cache was below ${roomyCache} % in ${minutesText(roomyWaitingMinutes, waitingMinutes, "minutes in which requests waited")}: the batch is full before the cache`,
    evidence: { roomyWaitingMinutes, waitingMinutes, cacheMostPercent: most },
  };
};

/** A target for requests in each replica; absent where too few were seen to say one. */
export function concurrencyTarget({ requests }: UsageSummary): number | undefined {
  const { unqueuedMost, knownMinutes = 0 } = requests ?? {};
  if (unqueuedMost === undefined || knownMinutes < adviceBusyMinutesLeast) return undefined;
  return unqueuedMost < 2 ? undefined : Math.round(headroomShare * unqueuedMost);
}

function isMost(minutes: number, of: number): boolean {
  return of >= waitingMinutesLeast && 2 * minutes >= of;
}

function isSaturated({ utilization }: UsageSummary): boolean {
  const { saturatedMinutes = 0, knownMinutes = 0 } = utilization ?? {};
  return knownMinutes >= adviceBusyMinutesLeast && 2 * saturatedMinutes > knownMinutes;
}

/** Long, flat and busy: nobody sends requests like that. */
function isSteady(summary: UsageSummary): boolean {
  const { utilization, busyMinutes, idleMinutes, longestBusyMinutes } = summary;
  return (
    utilization !== undefined &&
    longestBusyMinutes >= adviceMinutesLeast &&
    busyMinutes >= 9 * idleMinutes &&
    utilization.p5 >= saturatedUtilization - movedPoints &&
    utilization.p95 - utilization.p5 < movedPoints
  );
}

/** What shows that the load was not always the same, for a sentence. */
function variedLoad(summary: UsageSummary, withUtilization = true): string | undefined {
  const { requests, power, utilization, idleMinutes, busyMinutes } = summary;
  const running = requests?.running;
  if (running !== undefined && running.p95 >= 2 * Math.max(running.p5, 1))
    return `a replica ran ${rangeText(running, "requests")}`;
  if (power !== undefined && power.p95 >= movedRatio * power.p5)
    return `a device drew ${rangeText(power, "W")}`;
  if (!withUtilization) return undefined;
  if (utilization !== undefined && utilization.p95 - utilization.p5 >= movedPoints)
    return `utilization was ${rangeText(utilization, "%")}`;
  return idleMinutes >= waitingMinutesLeast
    ? `${busyMinutes} minutes were busy and ${idleMinutes} idle`
    : undefined;
}

/** What to scale on in place of devices. */
function instead(context: AdviceContext): string {
  const { engine, summary } = context;
  if (engine === undefined)
    return "take what the server counts itself, by engineMetric or a trigger on its queue";
  if (silentEngines.includes(engine)) return "take a trigger on what stands in front of it";
  const target = concurrencyTarget(summary);
  if (target === undefined)
    return `take requests, with profile llm-concurrency; once they are read, advise can say a target`;
  const { unqueuedMost } = summary.requests ?? {};
  return `take requests, with profile llm-concurrency and a target of ${target}: 70 % of the ${unqueuedMost} that one replica ran while none waited`;
}

function requestMetadata(context: AdviceContext): Recommendation["metadata"] {
  const { engine, summary } = context;
  if (engine === undefined || silentEngines.includes(engine)) return undefined;
  const target = concurrencyTarget(summary);
  return target === undefined
    ? { profile: "llm-concurrency" }
    : { profile: "llm-concurrency", targetValue: `${target}` };
}

function metricsText(triggers: readonly AdvisedTrigger[]): string {
  return [...new Set(triggers.map(({ metric }) => metric))].join(" and ");
}
