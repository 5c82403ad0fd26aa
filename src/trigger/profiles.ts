import type { MetricName } from "#metric/catalogue.ts";

/** What a profile stands for; explicit metadata wins over each field. */
export interface Profile {
  readonly metric: MetricName;
  /** In the metric's unit. */
  readonly target: number;
  readonly activationThreshold: number;
  /** False: its workload is never scaled to zero, so it is always active. */
  readonly scalesToZero: boolean;
}

/** The profiles that are a contract: metric, target and activation do not change. */
export const profiles = {
  "vllm-inference": profile("memory_used_percent", 80, 5),
  "triton-inference": profile("gpu_utilization", 75, 10),
  training: profile("gpu_utilization", 90, 0, false),
  batch: profile("memory_used_percent", 70, 1),
  "vllm-queue-depth": profile("vllm_queue_depth", 5, 1),
  "triton-queue-wait": profile("triton_queue_wait_ms", 50, 5),
  "triton-request-rate": profile("triton_request_rate", 50, 1),
  ollama: profile("memory_used_percent", 70, 3),
  "tgi-inference": profile("memory_used_percent", 75, 5),
  "distributed-training": profile("nvlink_tx_mbps", 50_000, 5_000),
} as const satisfies Record<string, Profile>;
export type ProfileName = keyof typeof profiles;

function profile(
  metric: MetricName,
  target: number,
  activationThreshold: number,
  scalesToZero = true,
): Profile {
  return { metric, target, activationThreshold, scalesToZero };
}

export const profileNames = Object.keys(profiles) as ProfileName[];

export function profileOf(name: ProfileName): Profile {
  return profiles[name];
}
