/**
 * Plays traces under the profiles, under the examples, under what people use without this scaler,
 * under fleets of fixed sizes, and from zero: the same requests, replica model and limits. Prints
 * two tables for each trace.
 *
 *     bun bench/traces.ts TRACE.csv…
 */
import { basename } from "node:path";
import { perCent, rounded, shortMs } from "#simulate/report/format.ts";
import type { Outcome } from "#simulate/report/outcome.ts";
import type { ScaledObjectModel, Trace } from "#simulate/scenario.ts";
import { highestUtilization, queueThreshold } from "./practice.ts";
import { limits, ofExample, ofProfile, played, readTrace, thinned } from "./trace-runs.ts";

/** What a fixed fleet must keep for the trace's peak. */
const fixedGoalPercent = 99;
/** A service that is used so seldom that it may rest. */
const seldom = 200;

const scaledObjects: Readonly<Record<string, ScaledObjectModel>> = {
  "`llm-concurrency`": ofProfile("llm-concurrency"),
  "`llm-concurrency`, target 32": ofProfile("llm-concurrency", { metadata: { targetValue: "32" } }),
  "`llm-concurrency`, target 48": ofProfile("llm-concurrency", { metadata: { targetValue: "48" } }),
  "`vllm-queue-depth` alone": ofProfile("vllm-queue-depth"),
  "`vllm-queue-depth`, its example": await ofExample("profiles/vllm-queue-depth.yaml"),
  "`vllm-kv-cache` alone": ofProfile("vllm-kv-cache"),
  "`vllm-kv-cache`, its example": await ofExample("profiles/vllm-kv-cache.yaml"),
  "`llm-ttft-p95` alone": ofProfile("llm-ttft-p95"),
  "`llm-ttft-p95`, its example": await ofExample("profiles/llm-ttft-p95.yaml"),
  "`triton-inference`: GPU utilization": ofProfile("triton-inference"),
  "`vllm-inference`: GPU memory": ofProfile("vllm-inference"),
};

const fromZero = await ofExample("profiles/llm-concurrency.yaml");
const wakeRows: Readonly<Record<string, ScaledObjectModel>> = {
  "`llm-concurrency`, its example": fromZero,
  "`gateway-flow-control`, its example": await ofExample("profiles/gateway-flow-control.yaml"),
  "`wake-from-zero`, the example": await ofExample("production/wake-from-zero.yaml"),
  "the first, `cooldownPeriod: 120`": { ...fromZero, cooldownPeriod: 120 },
  "the first, `cooldownPeriod: 60`": { ...fromZero, cooldownPeriod: 60 },
};

for (const path of Bun.argv.slice(2)) {
  const trace = await readTrace(path);
  console.log(`\n${basename(path)}, ${trace.atMs.length} requests\n`);
  printScaled(trace);
  console.log("\nFrom zero:\n");
  printFromZero(trace);
}

function line(cells: readonly string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}

function head(headings: readonly string[]): void {
  line(headings);
  line(headings.map(() => "---"));
}

function served({ gpuHours, waitMs, withinPercent }: Outcome): readonly string[] {
  return [
    rounded(gpuHours),
    waitMs === undefined ? "-" : shortMs(waitMs.p95),
    withinPercent === undefined ? "-" : perCent(withinPercent),
  ];
}

function printScaled(trace: Trace): void {
  head(["", "GPU-hours", "p95 wait", "within 2 s", "most", "changes", "began anew"]);
  const row = (name: string, outcome: Outcome) => {
    const { replicasMax, scaleUps, scaleDowns, interrupted } = outcome;
    line([
      name,
      ...served(outcome),
      `${replicasMax}`,
      `${scaleUps + scaleDowns}`,
      `${interrupted}`,
    ]);
  };
  for (const [name, scaledObject] of Object.entries(scaledObjects))
    row(name, played(trace, scaledObject));
  const usual = { ...limits, triggers: [{ metadata: {} }] };
  const { behavior } = ofProfile("vllm-queue-depth");
  const advised = behavior === undefined ? usual : { ...usual, behavior };
  const queue = { practice: queueThreshold };
  row("Prometheus, queue of 5", played(trace, usual, queue));
  row("Prometheus, queue of 5, our behaviour", played(trace, advised, queue));
  row("Prometheus, utilization of 80 %", played(trace, usual, { practice: highestUtilization }));
  for (let size = 1; size <= limits.maxReplicaCount; size += 1) {
    const fixed = { ...usual, minReplicaCount: size, maxReplicaCount: size };
    const outcome = played(trace, fixed, { ...queue, replicas: size });
    const keeps = (outcome.withinPercent ?? 0) >= fixedGoalPercent;
    if (!keeps && size < limits.maxReplicaCount) continue;
    row(`fixed: ${size} replicas`, outcome);
    break;
  }
}

function printFromZero(trace: Trace): void {
  head(["", "GPU-hours", "p95 wait", "within 2 s", "most", "cold starts met", "time at zero"]);
  const row = (name: string, outcome: Outcome) => {
    const { replicasMax, coldStarts, zeroSeconds } = outcome;
    line([name, ...served(outcome), `${replicasMax}`, `${coldStarts}`, `${zeroSeconds} s`]);
  };
  const rows = (kind: string, requests: Trace) => {
    for (const [name, scaledObject] of Object.entries(wakeRows)) {
      const outcome = played(requests, scaledObject, { replicas: 0 });
      row(`${name}${kind}`, outcome);
    }
    const kept = { ...fromZero, minReplicaCount: 1 };
    row(`the first, \`minReplicaCount: 1\`${kind}`, played(requests, kept, { replicas: 1 }));
  };
  rows("", trace);
  rows(`, one request of ${seldom}`, thinned(trace, seldom));
}
