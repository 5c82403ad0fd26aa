/**
 * Files that people write, in YAML: profiles, mock devices, replica models, ScaledObjects.
 *
 * @module
 */

import { targetLeast, triggerNumberMax } from "#core/limits.ts";
import { parseYamlDocuments } from "#core/yaml-text.ts";
import { parsePlan } from "#device/mock/plan.ts";
import { boundsOf, type MockSignal, valueAt } from "#device/mock/signal.ts";
import { metricNames } from "#metric/catalogue.ts";
import { engineNames, seriesText } from "#metric/engines.ts";
import { type ReadingName, readingNames, readingRanges } from "#metric/reading.ts";
import { parseReplicaFile, replicaKeys } from "#simulate/input/replica-file.ts";
import { parseScaledObject } from "#simulate/input/scaled-object-file.ts";
import { checkObject } from "#trigger/check-object.ts";
import { parseProfiles, profileFields } from "#trigger/custom-profiles.ts";
import { builtInProfiles, type Profile } from "#trigger/profiles.ts";
import { scaledKinds } from "#trigger/scaled-spec.ts";
import { filesOf, jsonBytes } from "../corpus.ts";
import { mutateYaml } from "../mutate-lines.ts";
import { outcomeOf, promise, promiseEqual, type Target } from "../target.ts";

/** `line 3, column 12: key: what must be`, in one line and not the whole file again. */
function checkProblems(problems: readonly string[]): string {
  promise(problems.length > 0, () => "a refusal names problems");
  for (const problem of problems) {
    promise(/^(line \d+, column \d+|the file): ./.test(problem), () => `a place: ${problem}`);
    promise(!/[\n\r]/.test(problem), () => `one line: ${JSON.stringify(problem)}`);
    promise(problem.length < 8_192, () => `a problem is short: ${problem.length}`);
  }
  return outcomeOf(problems[0] ?? "").replaceAll(/line 0, column 0: \S+/g, "");
}

const scalars = ["1", "0.5", "-1", "true", "text", "80", ".inf", "-.inf", ".nan", '"', "1e400"];

const profileText = `profiles:
  my-llm:
    metric: engine_metric
    target: 5
    activationMetric: gpu_utilization
    activationThreshold: 1
    scalesToZero: true
    metricType: Value
    windowSeconds: 60
    aggregation: max
    replicaAggregation: avg
    engine: vllm
    engineMetric: vllm:num_requests_waiting / vllm:num_requests_running
    engineMetricKind: gauge
    engineReduce: sum
    engineLabels: model_name="llama",engine=~"a|b"
  other:
    metric: gpu_utilization
    target: 80
`;

export const profilesTarget: Target = {
  name: "profiles-file",
  testInputs: 800,
  share: 40_000,
  corpus: () => [Buffer.from(profileText)],
  mutate: mutateYaml([...scalars, ...profileFields, ...metricNames, ...engineNames, "p95", "sum"]),
  run: (input) => {
    const { table, problems } = parseProfiles(input.toString());
    if (problems !== undefined) return checkProblems(problems);
    const own = [...table].filter(([name]) => !builtInProfiles.has(name));
    for (const [, { target, activationThreshold, windowSeconds = 0 }] of own) {
      promise(target >= targetLeast && target <= triggerNumberMax, () => `a target: ${target}`);
      promise(activationThreshold >= 0, () => `a threshold: ${activationThreshold}`);
      promise(windowSeconds >= 0 && windowSeconds <= 600, () => `a window: ${windowSeconds}`);
    }
    const printed = Object.fromEntries(
      own.map(([name, profile]) => [name, printedProfile(profile)]),
    );
    const again = parseProfiles(jsonBytes({ profiles: printed }).toString());
    promiseEqual(again.table, table, `profiles that are printed and read again: ${again.problems}`);
    return own.map(([, { metric, engine }]) => `${metric} ${engine}`).join(" ");
  },
};

function printedProfile({ engineMetric, engineLabels, ...rest }: Profile): object {
  const escaped = (text: string) =>
    text.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`);
  return {
    ...rest,
    engineMetric: engineMetric && seriesText(engineMetric),
    engineLabels: engineLabels
      ?.map(({ label, op, value }) => `${label}${op}"${escaped(value)}"`)
      .join(","),
  };
}

const mockText = `driverVersion: "590.48.01"
count: 2
staggerSeconds: 3
device:
  model: Mock H100
  readings:
    utilizationPercent: { wave: sine, low: 0, high: 100, periodSeconds: 60, phaseSeconds: 5 }
    temperatureCelsius: 50
    memoryUsedBytes: 1000
    memoryTotalBytes: 2000
    powerInstantMilliwatts:
      steps:
        - { forSeconds: 10, value: 100 }
        - { forSeconds: 5, value: 200 }
      repeat: true
  faults:
    unsupported: [smClockMegahertz]
    lost: { fromSeconds: 10, toSeconds: 20 }
`;

export const mockTarget: Target = {
  name: "mock-file",
  testInputs: 800,
  share: 40_000,
  corpus: () => [Buffer.from(mockText), ...filesOf("src/device/mock", ".yaml")],
  mutate: mutateYaml([
    ...scalars,
    ...readingNames,
    "wave",
    "saw",
    "square",
    "steps",
    "devices",
    "hang",
  ]),
  run: (input) => {
    const { plan, problems } = parsePlan(input.toString());
    if (problems !== undefined) return checkProblems(problems);
    const { devices } = plan;
    const uuids = new Set(devices.map(({ uuid }) => uuid));
    promise(uuids.size === devices.length, () => "each device is there once");
    for (const { readings, aheadSeconds } of devices.slice(0, 3))
      for (const [name, signal] of Object.entries(readings))
        if (signal !== undefined) checkSignal(name as ReadingName, signal, aheadSeconds);
    return `${Math.min(devices.length, 3)} ${Object.keys(devices[0]?.readings ?? {})}`.slice(
      0,
      120,
    );
  },
};

function checkSignal(name: ReadingName, signal: MockSignal, aheadSeconds: number): void {
  const { least, most } = boundsOf(signal);
  const range = readingRanges[name];
  promise(least >= range.least && most <= range.most, () => `${name} from ${least} to ${most}`);
  for (const seconds of [0, 0.1, 59.9, 1e9]) {
    const value = valueAt(signal, seconds + aheadSeconds);
    promise(value >= least && value <= most, () => `${name} at ${seconds} s: ${value}`);
  }
}

const replicaText = `preset: h100-8b
loadSeconds: 60
batchSlots: 32
prefillTokensPerSecond: 8000
decodeTokensPerSecond: 90
batchSlowdown: 1
kvBlocks: 4000
kvBlockTokens: 16
gpus: 1
podsPerReplica: 1
memoryMib: 70000
gpuMemoryMib: 81559
saturatedAt: 0.5
drainSeconds: 30
`;

export const replicaTarget: Target = {
  name: "replica-model",
  testInputs: 800,
  share: 40_000,
  corpus: () => [Buffer.from(replicaText)],
  mutate: mutateYaml([...scalars, ...Object.keys(replicaKeys)]),
  run: (input) => {
    const { value, problems } = parseReplicaFile(input.toString());
    if (problems !== undefined) return checkProblems(problems);
    const { replica, gpuMemoryMib, podsPerReplica } = value;
    for (const [name, number] of Object.entries({ ...replica, gpuMemoryMib, podsPerReplica }))
      promise(
        typeof number !== "number" || (Number.isFinite(number) && number >= 0),
        () => `${name} is a number that can be played: ${number}`,
      );
    promise(replica.memoryMib <= gpuMemoryMib, () => "a pod fits its device");
    return Object.keys(replica).join(" ").slice(0, 120);
  },
};

const examples = () => filesOf("deploy/examples", ".yaml");
const objectWords = [
  ...scalars,
  "spec",
  "triggers",
  "metadata",
  "minReplicaCount",
  "advanced",
  "behavior",
  "tolerance",
  "external",
  "scalerAddress",
  "targetValueFromEnv",
];

export const scaledObjectFileTarget: Target = {
  name: "scaled-object-file",
  testInputs: 600,
  share: 40_000,
  corpus: examples,
  mutate: mutateYaml(objectWords),
  run: (input) => {
    const { value, problems } = parseScaledObject(input.toString());
    if (problems !== undefined) return checkProblems(problems);
    const { name, model, warnings, targetKind } = value;
    promise(/^[a-z0-9]/.test(name), () => `a name: ${name}`);
    promise(model.triggers.length > 0, () => "a trigger");
    return `${targetKind} ${Object.keys(model)} ${warnings.map(({ code }) => code)}`;
  },
};

/** What `validate` says of any documents. */
export const documentsTarget: Target = {
  name: "documents",
  testInputs: 600,
  share: 40_000,
  corpus: examples,
  mutate: mutateYaml(objectWords),
  run: (input) => {
    const check = { profiles: builtInProfiles, isOwn: () => true, refusals: () => [] };
    const lines = input.toString().split("\n").length;
    const outcomes = parseYamlDocuments(input.toString()).map((document) => {
      if (document.problems !== undefined) return outcomeOf(document.problems[0].problem);
      return scaledKinds
        .flatMap((kind) => checkObject(document.value, { ...check, kind }).findings)
        .map(({ path, part, message }) => {
          const place = document.placeOf(path, part);
          promise(
            place.line >= 1 && place.line <= lines + 1,
            () => `line ${place.line}: ${message}`,
          );
          promise(!message.includes("\n"), () => `one line: ${JSON.stringify(message)}`);
          return outcomeOf(message);
        })[0];
    });
    return outcomes.join(" ").slice(0, 200);
  },
};
