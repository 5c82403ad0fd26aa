/**
 * The energy that each pod of this node used, while this process looked on.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { podEnergyKeptMs } from "#core/limits.ts";
import { type MeteredNode, podDeviceUse } from "#fleet/pod-device-use.ts";
import type { PodEnergy } from "#observe/node-metrics.ts";
import type { NodeReport } from "#telemetry/report.ts";

export interface PodEnergyMeter {
  readonly put: (report: NodeReport) => void;
  /** Of pods that hold a device, or did a while ago. */
  readonly totals: () => readonly PodEnergy[];
}

interface KeptPod extends PodEnergy {
  readonly heldAtMs: number;
}

export function podEnergyMeter({ monotonicMs }: Pick<Clock, "monotonicMs">): PodEnergyMeter {
  const pods = new Map<string, KeptPod>();
  let before: MeteredNode | undefined;
  return {
    put: (report) => {
      const nowMs = monotonicMs();
      const after = metered(report, nowMs);
      for (const { namespace, pod, joules } of before ? podDeviceUse(before, after) : []) {
        if (joules === undefined) continue;
        const key = `${namespace}/${pod}`;
        const sum = (pods.get(key)?.joules ?? 0) + joules;
        pods.set(key, { namespace, pod, joules: sum, heldAtMs: nowMs });
      }
      for (const [key, { heldAtMs }] of pods)
        if (nowMs - heldAtMs > podEnergyKeptMs) pods.delete(key);
      before = after;
    },
    totals: () => [...pods.values()],
  };
}

function metered(
  { ageMs, holdersAgeMs, name, sampleIntervalMs, devices }: NodeReport,
  nowMs: number,
): MeteredNode {
  return {
    name,
    sampleIntervalMs,
    devices,
    sampledAtMs: nowMs - ageMs,
    holdersAtMs: holdersAgeMs === undefined ? undefined : nowMs - holdersAgeMs,
  };
}
