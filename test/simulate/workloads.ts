/** Random workloads whose need is known, and what a run says of them. */
import fc from "fast-check";
import type { Run, TimelineRow } from "#simulate/run.ts";
import type { Incident, Load, Scenario, TargetModel } from "#simulate/scenario.ts";

/** A workload, and what its metric really was at a time. */
export interface Workload {
  readonly scenario: Scenario;
  /** Of the trigger, in the metric's unit. */
  readonly target: number;
  /** What all replicas together have of the metric, draining ones included. */
  readonly total: (row: TimelineRow) => number;
  /** What they have of it under the constant load. */
  readonly steadyTotal: number;
  /** What one request makes of it. */
  readonly perRequest: number;
}

const outputTokens = 300;
const decodeTokensPerSecond = 60;
const promptTokens = 200;
const prefillTokensPerSecond = 50_000;
/** Each request takes as long, however many others there are. */
export const serviceSeconds =
  promptTokens / prefillTokensPerSecond + outputTokens / decodeTokensPerSecond;
const blocksPerRequest = (promptTokens + outputTokens) / 4;

type MetricUnderTest = "concurrency" | "running_requests" | "gpu_utilization" | "kv_cache_usage";

const rules = fc.record(
  {
    selectPolicy: fc.constantFrom("Max" as const, "Min" as const),
    policies: fc.array(
      fc.record({
        type: fc.constantFrom("Pods" as const, "Percent" as const),
        value: fc.integer({ min: 1, max: 100 }),
        periodSeconds: fc.constantFrom(15, 30, 60),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
);

const targets: fc.Arbitrary<Partial<TargetModel>> = fc.constantFrom(
  { kind: "Deployment" },
  { kind: "Deployment" },
  { kind: "StatefulSet", podManagement: "Parallel" },
  { kind: "StatefulSet", podManagement: "OrderedReady" },
  { kind: "Deployment", strategy: "Recreate" },
  { kind: "Deployment", maxSurge: "50%", maxUnavailable: 0 },
);

/** How much work there is, in replicas that are at their target. */
export const shape = fc.record({
  metric: fc.constantFrom<MetricUnderTest[]>(
    "concurrency",
    "running_requests",
    "gpu_utilization",
    "kv_cache_usage",
  ),
  metricType: fc.constantFrom("AverageValue" as const, "Value" as const),
  /** So many that the need is ten requests: of fewer one alone is more than the tolerance. */
  batchSlots: fc.constantFrom(12, 16, 32),
  /** Share of the batch that the target stands for. */
  targetShare: fc.double({ min: 0.45, max: 0.7, noNaN: true }),
  /** In replicas. */
  need: fc.double({ min: 2, max: 8, noNaN: true }),
  loadSeconds: fc.integer({ min: 5, max: 180 }),
  firstReplicas: fc.integer({ min: 1, max: 16 }),
  target: targets,
  scaleUp: rules,
  scaleDown: rules,
  stabilizationWindowSeconds: fc.constantFrom(0, 60, 300),
  seed: fc.nat(1_000_000),
});
export type Shape = typeof shape extends fc.Arbitrary<infer One> ? One : never;

export interface WorkloadOptions {
  readonly seconds: number;
  /** In place of a constant load; requests a second at the need are handed in. */
  readonly load?: (perSecond: number) => Load;
  readonly incidents?: readonly Incident[];
  readonly minReplicaCount?: number;
  readonly podsPerGpu?: number;
}

export function workload(one: Shape, options: WorkloadOptions): Workload {
  const { metric, batchSlots, targetShare, need } = one;
  const targetRequests = Math.max(2, Math.round(batchSlots * targetShare));
  const isShare = metric === "gpu_utilization" || metric === "kv_cache_usage";
  const scale = isShare ? 100 / batchSlots : 1;
  const target = Number((targetRequests * scale).toFixed(3));
  const requestsAtOnce = need * targetRequests;
  const perSecond = requestsAtOnce / serviceSeconds;
  const load: Load = options.load?.(perSecond) ?? {
    rate: { kind: "constant", perSecond },
    arrivals: "even",
    promptTokens,
    outputTokens,
  };
  const scenario: Scenario = {
    seconds: options.seconds,
    load: "rate" in load ? { promptTokens, outputTokens, ...load } : load,
    replica: {
      batchSlots,
      loadSeconds: one.loadSeconds,
      prefillTokensPerSecond,
      decodeTokensPerSecond,
      batchSlowdown: 0,
      kvBlocks: batchSlots * blocksPerRequest,
      kvBlockTokens: 4,
    },
    cluster: { nodes: 8, gpusPerNode: 8, podsPerGpu: options.podsPerGpu ?? 1 },
    target: { replicas: one.firstReplicas, ...one.target },
    scaledObject: {
      triggers: [
        {
          metricType: one.metricType,
          metadata: { scalerAddress: "scaler:6000", metricType: metric, targetValue: `${target}` },
        },
      ],
      minReplicaCount: options.minReplicaCount ?? 1,
      maxReplicaCount: maxReplicas(one),
      behavior: {
        scaleUp: one.scaleUp,
        scaleDown: {
          ...one.scaleDown,
          stabilizationWindowSeconds: one.stabilizationWindowSeconds,
        },
      },
    },
    incidents: options.incidents ?? [],
    timelineSeconds: 1,
  };
  return {
    scenario,
    target,
    steadyTotal: requestsAtOnce * scale,
    perRequest: scale,
    total: (row) => totalOf(metric, row, batchSlots),
  };
}

export function maxReplicas({ need, firstReplicas }: Shape): number {
  return Math.max(firstReplicas, 2 * Math.ceil(need)) + 4;
}

function totalOf(metric: MetricUnderTest, row: TimelineRow, batchSlots: number): number {
  switch (metric) {
    case "concurrency":
      return row.running + row.queued;
    case "running_requests":
      return row.running;
    case "gpu_utilization":
      return row.utilizationPercent;
    case "kv_cache_usage":
      return (100 * row.running) / batchSlots;
  }
}

/** Counts at which the HPA rests under the constant load, give or take one request. */
export function restingCounts({ steadyTotal, perRequest, target }: Workload) {
  const [low, high] = [steadyTotal - perRequest, steadyTotal + perRequest];
  return {
    least: Math.ceil(low / (1.1 * target)),
    most: Math.max(Math.ceil(high / target), Math.floor(high / (0.9 * target))),
  };
}

/** Rows of a run from one second to another, both included. */
export function rowsBetween({ timeline }: Run, fromMs: number, toMs: number): TimelineRow[] {
  return timeline.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
}

/** In words, what a failing property needs to be understood. */
export function told(run: Run, what: string): string {
  const events = run.events.map(({ atMs, from, to, by }) => `${atMs / 1000}s ${by} ${from}→${to}`);
  return `${what}; ${events.join(", ")}`;
}

/** How old what a decision rests on may be: a scrape and a few syncs. */
const lagMs = 60_000;

/** The first time that more was added than the metric can have asked for just before. */
export function unjustified(
  { total, target }: Pick<Workload, "total" | "target">,
  run: Run,
): string | undefined {
  for (const { atMs, from, to } of run.events) {
    if (to <= from) continue;
    const needs = rowsBetween(run, atMs - lagMs, atMs).map((row) => total(row) / target);
    const need = Math.max(0, ...needs);
    const most = Math.max(Math.ceil(need) + 1, Math.ceil(1.1 * need));
    if (to > most) return `raised from ${from} to ${to} at ${atMs / 1000} s, for a need of ${need}`;
  }
  return undefined;
}
