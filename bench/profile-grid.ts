/**
 * Plays traces under other behaviours, targets and windows than those of the profiles. Every figure
 * is a mean of six runs that begin 5 s after each other, because a burst may come right before or
 * right after a poll of KEDA and a sync of the HPA.
 *
 *     bun bench/profile-grid.ts [--preset NAME] TRACE.csv…
 */
import { parseArgs } from "node:util";
import { type PresetName, presetNames } from "#simulate/input/presets.ts";
import { perCent, rounded, shortMs } from "#simulate/report/format.ts";
import type { Outcome } from "#simulate/report/outcome.ts";
import type { ScaledObjectModel, Trace } from "#simulate/scenario.ts";
import type { ScalingRules } from "#trigger/advice.ts";
import type { ProfileName } from "#trigger/profiles.ts";
import { later, mainPreset, ofExample, ofProfile, played, readTrace } from "./trace-runs.ts";

const startsMs = [0, 5_000, 10_000, 15_000, 20_000, 25_000];

/** `600, 1 / 120 s`: a window, then what may change in each period. */
const down = (stabilizationWindowSeconds: number, value: number, periodSeconds: number) => ({
  stabilizationWindowSeconds,
  policies: [{ type: "Pods", value, periodSeconds } as const],
});
const percent = (value: number, periodSeconds: number, pods = 0): ScalingRules => {
  const policy = { type: "Percent", value, periodSeconds } as const;
  const least = { type: "Pods", value: pods, periodSeconds } as const;
  return {
    stabilizationWindowSeconds: 0,
    selectPolicy: "Max",
    policies: pods === 0 ? [policy] : [least, policy],
  };
};
const oneEach = (periodSeconds: number): ScalingRules => ({
  stabilizationWindowSeconds: 0,
  policies: [{ type: "Pods", value: 1, periodSeconds }],
});

interface Tried {
  readonly profile: ProfileName;
  readonly up: ScalingRules;
  readonly down: ScalingRules;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Target of an `llm-concurrency` beside it. */
  readonly beside?: number;
}

const double = percent(100, 60);
const half = percent(50, 60, 1);
const any = (stabilizationWindowSeconds: number): ScalingRules => ({ stabilizationWindowSeconds });
const tried: readonly Tried[] = [
  ...["16", "20", "24", "32"].flatMap((targetValue) =>
    [300, 600, 900].map((seconds): Tried => {
      const metadata = { targetValue };
      return { profile: "llm-concurrency", up: double, down: down(seconds, 1, 120), metadata };
    }),
  ),
  { profile: "llm-concurrency", up: double, down: down(300, 1, 300) },
  { profile: "llm-concurrency", up: percent(100, 120), down: down(600, 1, 120) },
  { profile: "llm-concurrency", up: percent(100, 60, 4), down: down(600, 1, 120) },
  ...[half, oneEach(180), percent(50, 120, 1), percent(100, 120)].flatMap((up) =>
    [300, 600, 900].map(
      (seconds): Tried => ({ profile: "vllm-queue-depth", up, down: down(seconds, 1, 120) }),
    ),
  ),
  ...["30", "60", "120"].map((windowSeconds): Tried => {
    const metadata = { windowSeconds };
    return { profile: "vllm-queue-depth", up: half, down: down(600, 1, 120), metadata };
  }),
  ...[24, 32, 48].map((beside): Tried => {
    return { profile: "vllm-queue-depth", up: half, down: down(600, 1, 120), beside };
  }),
  { profile: "vllm-kv-cache", up: oneEach(180), down: down(300, 1, 300) },
  { profile: "vllm-kv-cache", up: half, down: down(600, 1, 120) },
  ...["60", "40"].map((targetValue): Tried => {
    const metadata = { targetValue };
    return { profile: "vllm-kv-cache", up: half, down: down(600, 1, 120), metadata };
  }),
  ...[24, 32, 48].map((beside): Tried => {
    return { profile: "vllm-kv-cache", up: half, down: down(600, 1, 120), beside };
  }),
  ...[600, 900, 1200].map((seconds): Tried => {
    const up = { ...oneEach(120), stabilizationWindowSeconds: 60 };
    return { profile: "llm-ttft-p95", up, down: down(seconds, 1, 300) };
  }),
  { profile: "llm-ttft-p95", up: oneEach(120), down: down(900, 1, 300) },
  ...["0", "30", "60", "120"].flatMap((windowSeconds) =>
    [180, 300, 600].map((seconds): Tried => {
      const up = { ...percent(100, 30), stabilizationWindowSeconds: 30 };
      const metadata = { windowSeconds };
      return { profile: "triton-inference", up, down: any(seconds), metadata };
    }),
  ),
];

const { values, positionals } = parseArgs({
  options: { preset: { type: "string", default: mainPreset } },
  allowPositionals: true,
});
const preset = presetNames.find((name) => name === values.preset);
if (preset === undefined) throw new Error(`--preset must be one of ${presetNames.join(", ")}`);
const traces = await Promise.all(positionals.map(readTrace));

line(["", "up", "down", ...traces.flatMap(() => ["GPU-hours", "p95 wait", "within 2 s", "most"])]);
line(["", "", "", ...traces.flatMap(() => ["", "", "", ""])].map(() => "---"));
for (const one of tried) row(nameOf(one), one.up, one.down, scaledObjectOf(one), 2);
const front = await ofExample("profiles/gateway-flow-control.yaml");
for (const seconds of [0, 60, 120, 300]) {
  const up = { ...double, stabilizationWindowSeconds: seconds };
  for (const back of [any(300), down(600, 1, 120)]) {
    const behavior = { scaleUp: up, scaleDown: back };
    row("`gateway-flow-control`, its example", up, back, { ...front, behavior }, 0);
  }
}

function line(cells: readonly string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}

function nameOf({ profile, metadata = {}, beside }: Tried): string {
  const keys = Object.entries(metadata).map(([key, value]) => `, ${key} ${value}`);
  const other = beside === undefined ? "" : `, beside \`llm-concurrency\` ${beside}`;
  return `\`${profile}\`${keys.join("")}${other}`;
}

function scaledObjectOf({ profile, up, down: back, metadata = {}, beside }: Tried) {
  const made = ofProfile(profile, { metadata, advice: { scaleUp: up, scaleDown: back } });
  if (beside === undefined) return made;
  const other = ofProfile("llm-concurrency", { metadata: { targetValue: `${beside}` } });
  return { ...made, triggers: [...made.triggers, ...other.triggers] };
}

function row(
  name: string,
  up: ScalingRules,
  back: ScalingRules,
  scaledObject: ScaledObjectModel,
  replicas: number,
): void {
  const cells = traces.flatMap((trace) =>
    means(trace, scaledObject, preset ?? mainPreset, replicas),
  );
  line([name, rulesText(up), rulesText(back), ...cells]);
}

function means(
  trace: Trace,
  scaledObject: ScaledObjectModel,
  replicaPreset: PresetName,
  replicas: number,
): readonly string[] {
  const outcomes = startsMs.map((ms) =>
    played(later(trace, ms), scaledObject, { preset: replicaPreset, replicas }),
  );
  const mean = (of: (outcome: Outcome) => number) =>
    outcomes.reduce((sum, outcome) => sum + of(outcome), 0) / outcomes.length;
  return [
    rounded(mean(({ gpuHours }) => gpuHours)),
    shortMs(mean(({ waitMs }) => waitMs?.p95 ?? 0)),
    perCent(mean(({ withinPercent }) => withinPercent ?? 0)),
    `${Math.max(...outcomes.map(({ replicasMax }) => replicasMax))}`,
  ];
}

function rulesText({ stabilizationWindowSeconds, policies = [] }: ScalingRules): string {
  const each = policies.map(
    ({ type, value, periodSeconds }) =>
      `${value}${type === "Percent" ? " %" : ""}/${periodSeconds}`,
  );
  return [`${stabilizationWindowSeconds} s`, ...each].join(", ");
}
