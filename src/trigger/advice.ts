/**
 * What a ScaledObject with a built-in profile should say beside its trigger, as the examples do.
 *
 * Replicas of a language model serve nothing while they load and the demand stays: what says little
 * of the load adds them one at a time. They are removed slowly, because each one has to load again
 * when it is needed. The times of `requests`, `queue`, `llm-ttft-p95` and `triton-inference` were
 * chosen by two traces of requests: bench/README.md.
 *
 * @module
 */
import type { ProfileName } from "./profiles.ts";

interface ScalingPolicy {
  readonly type: "Pods" | "Percent";
  readonly value: number;
  readonly periodSeconds: number;
}
/** In the shape of `behavior` of the HPA; without policies, Kubernetes' own apply. */
export interface ScalingRules {
  readonly stabilizationWindowSeconds: number;
  readonly selectPolicy?: "Max";
  readonly policies?: readonly ScalingPolicy[];
}
export interface ProfileAdvice {
  readonly scaleUp: ScalingRules;
  readonly scaleDown: ScalingRules;
  /** Idle time before the workload is scaled to zero. */
  readonly cooldownSeconds: number;
  /** What can bring the first replica back; completes "at zero replicas …". */
  readonly wake: string;
}

function rules(stabilizationWindowSeconds: number, ...policies: ScalingPolicy[]): ScalingRules {
  if (policies.length === 0) return { stabilizationWindowSeconds };
  const select = policies.length > 1 ? ({ selectPolicy: "Max" } as const) : {};
  return { stabilizationWindowSeconds, ...select, policies };
}
const pods = (value: number, periodSeconds: number) =>
  ({ type: "Pods", value, periodSeconds }) as const;
const percent = (value: number, periodSeconds: number) =>
  ({ type: "Percent", value, periodSeconds }) as const;

const inFront = "a trigger on what stands in front: gateway, router or interceptor";
const never = "never goes there";

const modelServer: ProfileAdvice = {
  scaleUp: rules(0, pods(1, 180)),
  scaleDown: rules(300, pods(1, 120)),
  cooldownSeconds: 300,
  wake: inFront,
};
// Bursts come again: a replica that is removed five minutes after one has to load at the next.
const requests: ProfileAdvice = {
  ...modelServer,
  scaleUp: rules(0, percent(100, 60)),
  scaleDown: rules(600, pods(1, 120)),
};
const queue: ProfileAdvice = { ...requests, scaleUp: rules(0, pods(1, 60), percent(50, 60)) };

export const profileAdvice: Readonly<Record<ProfileName, ProfileAdvice>> = {
  "vllm-inference": modelServer,
  "triton-inference": {
    scaleUp: rules(30, percent(100, 30)),
    scaleDown: rules(600),
    cooldownSeconds: 120,
    wake: inFront,
  },
  training: {
    scaleUp: rules(60),
    scaleDown: rules(600, pods(1, 300)),
    cooldownSeconds: 300,
    wake: never,
  },
  batch: {
    scaleUp: rules(0, pods(4, 15)),
    scaleDown: rules(60),
    cooldownSeconds: 60,
    wake: "a trigger on the job queue",
  },
  "vllm-queue-depth": queue,
  "triton-queue-wait": {
    scaleUp: rules(30, percent(100, 60)),
    scaleDown: rules(300),
    cooldownSeconds: 120,
    wake: inFront,
  },
  "triton-request-rate": {
    scaleUp: rules(0),
    scaleDown: rules(180),
    cooldownSeconds: 120,
    wake: inFront,
  },
  ollama: { scaleUp: rules(30), scaleDown: rules(300), cooldownSeconds: 600, wake: inFront },
  "tgi-inference": modelServer,
  "distributed-training": {
    scaleUp: rules(60),
    scaleDown: rules(600),
    cooldownSeconds: 600,
    wake: "a trigger on the job queue",
  },
  "vllm-kv-cache": queue,
  "llm-concurrency": requests,
  "llm-ttft-p95": {
    scaleUp: rules(60, pods(1, 120)),
    scaleDown: rules(900, pods(1, 300)),
    cooldownSeconds: 600,
    wake: never,
  },
  "tgi-queue-depth": queue,
  "sglang-queue-depth": queue,
  "gateway-flow-control": { ...requests, wake: "this trigger itself, as external-push" },
};

/** What fits a trigger by its profile; of custom profiles and of none, what fits a model server. */
export function adviceOf(profile: string | undefined): ProfileAdvice {
  const isBuiltIn = profile !== undefined && Object.hasOwn(profileAdvice, profile);
  return isBuiltIn ? profileAdvice[profile as ProfileName] : modelServer;
}

/** `window 0 s, 1 pod in 60 s`. */
export function scalingRulesText(scaling: ScalingRules): string {
  const { stabilizationWindowSeconds, policies = [] } = scaling;
  return [`window ${stabilizationWindowSeconds} s`, ...policies.map(policyText)].join(", ");
}

function policyText({ type, value, periodSeconds }: ScalingPolicy): string {
  const unit = type === "Percent" ? "%" : value === 1 ? "pod" : "pods";
  return `${value} ${unit} in ${periodSeconds} s`;
}
