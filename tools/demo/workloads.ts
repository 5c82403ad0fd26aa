/**
 * What the demo plays: a model server whose work comes and goes, and batch jobs that keep GPUs busy.
 *
 * @module
 */
import { replicaPresets } from "#simulate/input/presets.ts";
import type { LoadRate, RatePoint, Scenario } from "#simulate/scenario.ts";

export interface DemoWorkload {
  /** What it is, in a few words. */
  readonly title: string;
  /** One for each trigger. */
  readonly labels: readonly string[];
  readonly scenario: Scenario & { readonly load: { readonly rate: LoadRate } };
}

/** The demo ends after a day of the simulation: what it keeps for its summary grows. */
export const daySeconds = 24 * 3600;

/** The same again and again, in straight lines between the points. */
function repeated(cycleSeconds: number, cycle: readonly RatePoint[]): LoadRate {
  const points: RatePoint[] = [];
  for (let fromSecond = 0; fromSecond < daySeconds; fromSecond += cycleSeconds)
    for (const { atSecond, perSecond } of cycle)
      points.push({ atSecond: fromSecond + atSecond, perSecond });
  return { kind: "ramps", points };
}

const scalerAddress = "keda-gpu-scaler.keda:6000";

const server: DemoWorkload = {
  title: "vLLM, an 8B model on H100, profile llm-concurrency",
  labels: ["in pods", "gateway"],
  scenario: {
    seconds: daySeconds,
    load: {
      rate: repeated(1_080, [
        { atSecond: 0, perSecond: 3 },
        { atSecond: 40, perSecond: 3 },
        { atSecond: 240, perSecond: 18 },
        { atSecond: 380, perSecond: 18 },
        { atSecond: 480, perSecond: 3 },
        { atSecond: 560, perSecond: 9 },
        { atSecond: 680, perSecond: 0 },
        { atSecond: 1_079, perSecond: 0 },
      ]),
      promptTokens: { p50: 400, p95: 2_000 },
      outputTokens: { p50: 250, p95: 800 },
    },
    // Half the preset's slots, so that what waits is seen.
    replica: { ...replicaPresets["h100-8b"].replica, batchSlots: 32, saturatedAt: 1 / 32 },
    cluster: { nodes: 2, gpusPerNode: 4, nodePrefix: "h100" },
    target: { name: "llm", replicas: 1 },
    scaledObject: {
      triggers: [
        { metadata: { scalerAddress, profile: "llm-concurrency" } },
        {
          type: "external-push",
          metadata: {
            scalerAddress,
            profile: "gateway-flow-control",
            targetValue: "16",
            endpoint: "http://gateway.ml:9090/metrics",
            engineLabels: 'inference_pool="llm"',
          },
        },
      ],
      minReplicaCount: 0,
      maxReplicaCount: 8,
      pollingInterval: 15,
      cooldownPeriod: 120,
      behavior: { scaleDown: { stabilizationWindowSeconds: 120 } },
    },
  },
};

/** A job is a request that has its GPU for itself. */
const jobs: DemoWorkload = {
  title: "batch jobs, a GPU each, targetGpuUtilization 80",
  labels: ["GPU use"],
  scenario: {
    seconds: daySeconds,
    load: {
      rate: repeated(1_500, [
        { atSecond: 0, perSecond: 0.01 },
        { atSecond: 60, perSecond: 0.02 },
        { atSecond: 300, perSecond: 0.2 },
        { atSecond: 700, perSecond: 0.2 },
        { atSecond: 900, perSecond: 0.01 },
      ]),
      promptTokens: 1,
      outputTokens: { p50: 1_000, p95: 2_000 },
    },
    replica: {
      loadSeconds: 45,
      batchSlots: 1,
      decodeTokensPerSecond: 50,
      kvBlocks: 4_000,
      memoryMib: 60_000,
    },
    cluster: { nodes: 1, gpusPerNode: 8, nodePrefix: "batch" },
    target: { name: "batch", replicas: 1 },
    scaledObject: {
      triggers: [{ metadata: { scalerAddress, targetGpuUtilization: "80", windowSeconds: "30" } }],
      minReplicaCount: 1,
      maxReplicaCount: 8,
      pollingInterval: 15,
      behavior: { scaleDown: { stabilizationWindowSeconds: 120 } },
    },
  },
};

export const demoWorkloads: readonly DemoWorkload[] = [server, jobs];
