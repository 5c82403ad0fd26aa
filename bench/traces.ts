/**
 * Plays traces under the profiles, under what people use without this scaler, and under fleets of
 * fixed sizes: the same requests, replica model and limits. Prints a table for each trace.
 *
 *     bun bench/traces.ts TRACE.csv…
 */
import { basename } from "node:path";
import { replicaPresets } from "#simulate/input/presets.ts";
import { parseTrace } from "#simulate/input/trace-file.ts";
import { perCent, rounded, shortMs } from "#simulate/report/format.ts";
import { type Outcome, outcomeOf } from "#simulate/report/outcome.ts";
import type { ScaledObjectModel, Trace } from "#simulate/scenario.ts";
import { simulate } from "#simulate/simulate.ts";
import { profileAdvice } from "#trigger/advice.ts";
import { type ProfileName, profileOf } from "#trigger/profiles.ts";
import {
  highestUtilization,
  type Practice,
  queueThreshold,
  throughPrometheus,
} from "./practice.ts";

const preset = replicaPresets["h100x2-70b"];
const withinMs = 2_000;
/** What a fixed fleet must keep for the trace's peak. */
const fixedGoalPercent = 99;
const limits = { minReplicaCount: 1, maxReplicaCount: 12 };
const startReplicas = 2;

const named: Readonly<Record<string, ProfileName>> = {
  "`llm-concurrency`": "llm-concurrency",
  "`vllm-queue-depth`": "vllm-queue-depth",
  "`vllm-kv-cache`": "vllm-kv-cache",
  "`llm-ttft-p95`": "llm-ttft-p95",
  "`triton-inference`: GPU utilization": "triton-inference",
  "`vllm-inference`: GPU memory": "vllm-inference",
};

for (const path of Bun.argv.slice(2)) {
  const parsed = parseTrace(await Bun.file(path).text());
  if (parsed.problems !== undefined) throw new Error(`${path}: ${parsed.problems.join("; ")}`);
  console.log(`\n${basename(path)}, ${parsed.value.atMs.length} requests\n`);
  printTable(parsed.value);
}

function printTable(trace: Trace): void {
  const line = (cells: readonly string[]) => console.log(`| ${cells.join(" | ")} |`);
  const headings = ["", "GPU-hours", "p95 wait", "within 2 s", "most", "changes", "began anew"];
  line(headings);
  line(headings.map(() => "---"));
  const row = (name: string, outcome: Outcome) =>
    line([
      name,
      rounded(outcome.gpuHours),
      outcome.waitMs === undefined ? "-" : shortMs(outcome.waitMs.p95),
      outcome.withinPercent === undefined ? "-" : perCent(outcome.withinPercent),
      `${outcome.replicasMax}`,
      `${outcome.scaleUps + outcome.scaleDowns}`,
      `${outcome.interrupted}`,
    ]);
  for (const [name, profile] of Object.entries(named))
    row(name, played(trace, startReplicas, ofProfile(profile)));
  const measured = `${Math.round(0.6 * preset.replica.batchSlots)}`;
  const tuned = ofProfile("llm-concurrency", { targetValue: measured });
  row(`\`llm-concurrency\`, target ${measured}`, played(trace, startReplicas, tuned));
  const usual = { ...limits, triggers: [{ metadata: {} }] };
  row("Prometheus, queue of 5", played(trace, startReplicas, usual, queueThreshold));
  const { behavior } = ofProfile("vllm-queue-depth");
  const advised = behavior === undefined ? usual : { ...usual, behavior };
  row(
    "Prometheus, queue of 5, our behaviour",
    played(trace, startReplicas, advised, queueThreshold),
  );
  row("Prometheus, utilization of 80 %", played(trace, startReplicas, usual, highestUtilization));
  for (let size = 1; size <= limits.maxReplicaCount; size += 1) {
    const fixed = { ...usual, minReplicaCount: size, maxReplicaCount: size };
    const outcome = played(trace, size, fixed, queueThreshold);
    const keeps = (outcome.withinPercent ?? 0) >= fixedGoalPercent;
    if (!keeps && size < limits.maxReplicaCount) continue;
    row(`fixed: ${size} replicas`, outcome);
    break;
  }
}

function ofProfile(
  name: ProfileName,
  more: Readonly<Record<string, string>> = {},
): ScaledObjectModel {
  const { metricType } = profileOf(name);
  const { scaleUp, scaleDown, cooldownSeconds } = profileAdvice[name];
  return {
    ...limits,
    cooldownPeriod: cooldownSeconds,
    behavior: { scaleUp, scaleDown },
    triggers: [{ metricType, metadata: { scalerAddress: "scaler:6000", profile: name, ...more } }],
  };
}

function played(
  trace: Trace,
  replicas: number,
  scaledObject: ScaledObjectModel,
  practice?: Practice,
): Outcome {
  const { replica, gpuMemoryMib } = preset;
  const scenario = {
    seconds: Math.ceil((trace.atMs.at(-1) ?? 0) / 1000) + 1,
    load: { trace },
    replica,
    cluster: { gpuMemoryMib },
    target: { replicas },
    scaledObject,
  };
  const run =
    practice === undefined
      ? simulate(scenario, 1)
      : simulate(scenario, 1, throughPrometheus(practice));
  return outcomeOf(run, { withinMs });
}
