/**
 * What the number of replicas did over the hours, whatever the trigger reads.
 *
 * @module
 */
import { adviceMinutesLeast, slowStartLeastMs } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import { type AdviceRule, minutesText } from "./recommendation.ts";

/** Turns in an hour: of what is asked for, and of what comes of it. */
const restlessTurns = 4;
const restlessReplicaTurns = 2;
/** The HPA's default is 300 s, and its most 3,600 s. */
const calmWindowSeconds = { least: 600, most: 3_600 } as const;
/** Of all minutes, and minutes: then it is no peak that the maximum is there for. */
const longShare = 0.2;
const longMinutes = 15;
/** Of the minutes in which replicas were there. */
const idleShare = 0.25;
/** KEDA's default. */
const cooldownSeconds = 300;

export const replicasRestless: AdviceRule = ({ summary: { desired } }) => {
  if (desired === undefined || desired.knownMinutes < adviceMinutesLeast) return undefined;
  const { turnsPerHour, replicaTurnsPerHour, knownMinutes } = desired;
  if (turnsPerHour < restlessTurns || replicaTurnsPerHour < restlessReplicaTurns) return undefined;
  // Two turns are one swing: what was asked for at its height is remembered until the next.
  const swingSeconds = 60 * Math.ceil((2 * 60) / replicaTurnsPerHour);
  const seconds = Math.min(Math.max(calmWindowSeconds.least, swingSeconds), calmWindowSeconds.most);
  return {
    code: "replicas-restless",
    level: "change",
    text: `Set behavior.scaleDown.stabilizationWindowSeconds to ${seconds}`,
    why: `The replicas that the HPA is asked for turned between more and fewer ${turnsPerHour} times in an hour, and spec.replicas followed ${replicaTurnsPerHour} times: what goes has to load again`,
    evidence: { turnsPerHour, replicaTurnsPerHour, knownMinutes },
  };
};

export const maximumReached: AdviceRule = ({ summary: { desired }, maxReplicas }) => {
  if (desired === undefined || desired.knownMinutes < adviceMinutesLeast) return undefined;
  const { aboveMaximumMinutes, knownMinutes, most } = desired;
  if (aboveMaximumMinutes < Math.max(longMinutes, longShare * knownMinutes)) return undefined;
  return {
    code: "maximum-reached",
    level: "change",
    text: `Raise maxReplicaCount above ${maxReplicas}, if the signal is right and there are devices`,
    why: `More than the maximum were asked for in ${minutesText(aboveMaximumMinutes, knownMinutes, "minutes")}, ${most} at most`,
    evidence: { aboveMaximumMinutes, knownMinutes, desiredMost: most, maxReplicas },
  };
};

export const oftenIdle: AdviceRule = ({ summary, triggers, minReplicas }) => {
  const { idleMinutes, busyMinutes, idleReplicaHours, replicaHours, starts } = summary;
  const knownMinutes = idleMinutes + busyMinutes;
  if (knownMinutes < adviceMinutesLeast || idleMinutes < idleShare * knownMinutes) return undefined;
  if (triggers.some(({ alwaysActive }) => alwaysActive)) return undefined;
  const why = `Nothing was to do in ${minutesText(idleMinutes, knownMinutes, "minutes")} with a ready replica: ${idleReplicaHours} of ${replicaHours} replica-hours`;
  const evidence = { idleMinutes, knownMinutes, idleReplicaHours, replicaHours, minReplicas };
  if (minReplicas === 0)
    return {
      code: "often-idle",
      level: "note",
      text: "Look at cooldownPeriod and at what else keeps it active: minReplicaCount is 0 already",
      why,
      evidence,
    };
  const wait =
    starts === undefined ? "" : `, and the first request waits about ${spanText(starts.medianMs)}`;
  return {
    code: "often-idle",
    level: "change",
    text: `Set minReplicaCount to 0, which saves up to ${idleReplicaHours} replica-hours in ${spanText(summary.observedMs)}; a trigger on what stands in front (gateway, router) has to wake it${wait}`,
    why,
    evidence,
  };
};

export const slowStart: AdviceRule = ({ summary: { starts } }) => {
  if (starts === undefined || starts.medianMs < slowStartLeastMs) return undefined;
  const { count, medianMs } = starts;
  const seconds = Math.round(medianMs / 1_000);
  const cooldown = Math.max(cooldownSeconds, 60 * Math.ceil((2 * seconds) / 60));
  return {
    code: "slow-start",
    level: "note",
    text: `Let replicas go slowly: cooldownPeriod ${cooldown} or more, and scaleUp policies that add few at a time in ${seconds} s; play it with simulate and a replica model that loads for as long`,
    why: `From its creation to being ready a pod took ${seconds} s in the median of ${count}: the load stays as it is meanwhile, and what is asked for grows`,
    evidence: { starts: count, startMedianSeconds: seconds },
  };
};
