/**
 * Whether the target of a trigger on requests fits, and whether requests are counted at all.
 *
 * @module
 */
import { adviceBusyMinutesLeast, waitingMinutesLeast } from "#core/limits.ts";
import { profileOf } from "#trigger/profiles.ts";
import {
  type AdviceContext,
  type AdviceRule,
  minutesText,
  type Recommendation,
  readsSignal,
} from "./recommendation.ts";
import { concurrencyTarget } from "./signal-rules.ts";
import { roomyCache } from "./usage-summary.ts";

/** Of the most that a replica ran without a queue: a target above it is reached too late. */
const lateShare = 0.8;
/** By how much a target is raised at once: how much a replica can do was not seen. */
const raiseRatio = 1.5;
const queueProfiles: Readonly<
  Record<string, "vllm-queue-depth" | "tgi-queue-depth" | "sglang-queue-depth">
> = {
  vllm: "vllm-queue-depth",
  tgi: "tgi-queue-depth",
  sglang: "sglang-queue-depth",
};

export const requestsWait: AdviceRule = (context) => {
  const { summary, triggers } = context;
  const { requests } = summary;
  if (requests === undefined || requests.waitingBelowMaximumMinutes < waitingMinutesLeast)
    return undefined;
  const trigger = readsSignal(triggers, "concurrency", "running_requests");
  if (trigger !== undefined) return lowerTarget(context, trigger.target);
  if (readsSignal(triggers, "queue_depth", "queue_wait_ms")) return undefined;
  return queueTrigger(context);
};

function lowerTarget(context: AdviceContext, before: number): Recommendation | undefined {
  const { requests } = context.summary;
  const target = concurrencyTarget(context.summary);
  const { unqueuedMost = 0 } = requests ?? {};
  if (target === undefined || before <= lateShare * unqueuedMost) return undefined;
  return {
    code: "requests-wait",
    level: "change",
    text: `Lower the target from ${before} to ${target}`,
    why: `${waitingText(context)}, and one replica ran ${unqueuedMost} at most while none waited: at ${before} the next replica is asked for when it is too late. 70 % of that leave room while it loads`,
    evidence: { ...waitingEvidence(context), unqueuedMost, target: before },
    metadata: { targetValue: `${target}` },
  };
}

function queueTrigger(context: AdviceContext): Recommendation {
  const profile = queueProfiles[context.engine ?? ""];
  const { target } = profileOf(profile ?? "vllm-queue-depth");
  return {
    code: "requests-wait",
    level: "change",
    text: `Add a trigger on queue_depth with target ${target}`,
    why: `${waitingText(context)}, and no trigger counts them`,
    evidence: waitingEvidence(context),
    metadata:
      profile === undefined ? { metricType: "queue_depth", targetValue: `${target}` } : { profile },
  };
}

function waitingText({ summary: { requests } }: AdviceContext): string {
  const { waitingBelowMaximumMinutes = 0, knownMinutes = 0, waitingMost = 0 } = requests ?? {};
  return `Requests waited, ${waitingMost} at most, in ${minutesText(waitingBelowMaximumMinutes, knownMinutes)} with fewer replicas than the maximum`;
}

function waitingEvidence({ summary: { requests } }: AdviceContext) {
  const { waitingBelowMaximumMinutes = 0, knownMinutes = 0, waitingMost = 0 } = requests ?? {};
  return { waitingBelowMaximumMinutes, knownMinutes, waitingMost };
}

export const targetLow: AdviceRule = ({ summary, triggers, minReplicas }) => {
  const { requests, replicas } = summary;
  const trigger = readsSignal(triggers, "concurrency", "running_requests");
  if (requests === undefined || replicas === undefined || trigger === undefined) return undefined;
  const { knownMinutes, waitingMinutes, running, cache } = requests;
  if (knownMinutes < adviceBusyMinutesLeast || waitingMinutes > 0) return undefined;
  // With as few replicas as there may be, and below half of the target, the target decides nothing.
  if (replicas.most <= Math.max(minReplicas, 1) || 2 * running.p95 < trigger.target)
    return undefined;
  if (cache !== undefined && cache.most >= roomyCache) return undefined;
  const target = Math.ceil(raiseRatio * trigger.target);
  const room =
    cache === undefined ? "" : `, and the key-value cache never held more than ${cache.most} %`;
  return {
    code: "target-low",
    level: "change",
    text: `Raise the target from ${trigger.target} to ${target}, and ask again after some busy hours`,
    why: `No request waited in ${minutesText(knownMinutes, knownMinutes)}, with up to ${requests.runningMost} running in one replica and up to ${replicas.most} replicas${room}: each can take more`,
    evidence: {
      knownMinutes,
      waitingMinutes,
      runningMost: requests.runningMost,
      replicasMost: replicas.most,
      target: trigger.target,
    },
    metadata: { targetValue: `${target}` },
  };
};
