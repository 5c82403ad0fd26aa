/**
 * `simulate`: plays ScaledObjects over a load, and reports what users and the bill would have seen.
 *
 * @module
 */
import { usage } from "#cli/arguments.ts";
import { command, exitCodes } from "#cli/command.ts";
import {
  choice,
  decimal,
  duration,
  type FlagValues,
  file,
  flag,
  loadExpression,
  presetOrFile,
  repeatedFlag,
  tokenCount,
  wholeNumber,
} from "#cli/flags.ts";
import { contentOf, readInput } from "#cli/input-file.ts";
import { profilesFlag, profileTable } from "#cli/profiles-flag.ts";
import { didYouMean } from "#core/closest.ts";
import {
  comparisonsMax,
  gpuHourPriceMax,
  seedMax,
  simulateFileBytesMax,
  simulateWithinMsMax,
  timelineRowsGoal,
  traceFileBytesMax,
} from "#core/limits.ts";
import { parseLoad } from "#simulate/input/load-expression.ts";
import { presetNames, replicaPresets } from "#simulate/input/presets.ts";
import { parseReplicaFile, type ReplicaFile } from "#simulate/input/replica-file.ts";
import { parseScaledObject, type ScaledObjectFile } from "#simulate/input/scaled-object-file.ts";
import { parseTrace } from "#simulate/input/trace-file.ts";
import { plural, shortSeconds } from "#simulate/report/format.ts";
import { htmlReport } from "#simulate/report/html.ts";
import { jsonReport } from "#simulate/report/json.ts";
import { outcomeOf } from "#simulate/report/outcome.ts";
import type { Report, ReportedRun } from "#simulate/report/report.ts";
import { textReport } from "#simulate/report/text.ts";
import { verdictOf } from "#simulate/report/verdict.ts";
import type { Load, Scenario, TokenCount } from "#simulate/scenario.ts";
import { simulate } from "#simulate/simulate.ts";

const simulateFormats = ["text", "json", "html"] as const;

interface SimulateOptions {
  readonly scaledObject: string;
  /** Profiles beside the built-in ones; absent: none. */
  readonly profiles: string | undefined;
  /** Others to play over the same load. */
  readonly compare: readonly string[];
  /** Absent, and `load` too: the default load. */
  readonly trace: string | undefined;
  readonly load: string | undefined;
  /** Of a load that is no trace. */
  readonly promptTokens: TokenCount;
  readonly outputTokens: TokenCount;
  /** A preset's name, or a file. */
  readonly replicaModel: string;
  readonly withinMs: number;
  readonly goalPercent: number;
  readonly gpuHourPrice: number | undefined;
  readonly seed: number;
  readonly format: (typeof simulateFormats)[number];
  readonly hasColor: boolean;
}

const defaultLoad = "2 rps for 10m, ramp 2..20 rps over 5m, 20 rps for 15m, 0 rps for 15m";

const simulateFlags = {
  scaledobject: flag(file, { help: "YAML file with the ScaledObject to play; required" }),
  ...profilesFlag,
  trace: flag(file, {
    help: "CSV file of requests with the columns TIMESTAMP, ContextTokens and GeneratedTokens",
  }),
  load: flag(loadExpression, {
    help:
      "Load in place of a trace: segments with commas between, RATE rps for DURATION or " +
      `ramp RATE..RATE rps over DURATION; without either "${defaultLoad}"`,
  }),
  "prompt-tokens": flag(tokenCount, { fallback: "500", help: "Tokens in, of a load" }),
  "output-tokens": flag(tokenCount, { fallback: "200", help: "Tokens out, of a load" }),
  "replica-model": flag(presetOrFile, {
    fallback: "h100-8b",
    help: `YAML file that describes a replica, or a preset: ${presetNames.join(", ")}`,
  }),
  compare: repeatedFlag(file, {
    help: "YAML file with another ScaledObject to play over the same load; up to four times",
  }),
  output: flag(choice(simulateFormats), {
    fallback: "text",
    help: "text fits 80 columns, html is one page with plots",
  }),
  within: flag(duration(1, simulateWithinMsMax), {
    fallback: "2s",
    help: "Limit for the first token",
  }),
  goal: flag(decimal("PERCENT", 0, 100), {
    fallback: "95",
    help: "Share of requests that should have their first token within the limit",
  }),
  "gpu-hour-price": flag(decimal("PRICE", 0, gpuHourPriceMax), {
    help: "Price of a GPU for an hour, for the cost",
  }),
  seed: flag(wholeNumber(0, seedMax), { fallback: "1", help: "The same one gives the same run" }),
} as const;

/**
 * @returns The report as text.
 * @throws {Fault} `file-invalid` with line and rule of each problem, `usage-invalid` for a load.
 */
async function reportOf(options: SimulateOptions): Promise<string> {
  const { withinMs, goalPercent, gpuHourPrice, seed, format, hasColor } = options;
  const files = [options.scaledObject, ...options.compare];
  if (files.length > comparisonsMax + 1)
    throw usage(
      "simulate",
      `--compare must be given at most ${comparisonsMax} times, got ${files.length - 1}`,
    );
  const load = await loadOf(options);
  const replica = await replicaOf(options.replicaModel);
  const profiles = await profileTable(options.profiles);
  const parse = (text: string) => parseScaledObject(text, profiles);
  const objects: ScaledObjectFile[] = [];
  for (const file of files)
    objects.push(await readInput("ScaledObject", file, simulateFileBytesMax, parse));

  const runs = objects.map(({ name, warnings, ...object }, index): ReportedRun => {
    const run = simulate({ ...scenarioOf(object, load, replica.file), profiles }, seed);
    return {
      letter: String.fromCharCode("A".charCodeAt(0) + index),
      file: files[index] ?? "",
      name,
      warnings: warnings.map(({ message }) => message),
      run,
      outcome: outcomeOf(run, { withinMs, gpuHourPrice }),
    };
  });
  const goal = { withinMs, goalPercent };
  const verdict = verdictOf(runs, goal);
  const { seconds } = load;
  const titles = { load: load.title, replica: replica.title };
  const report = { ...titles, ...goal, seconds, seed, gpuHourPrice, runs, verdict };
  return written[format](report, hasColor);
}

const written: Readonly<
  Record<SimulateOptions["format"], (report: Report, hasColor: boolean) => string>
> = { text: textReport, json: jsonReport, html: htmlReport };

interface PlayedLoad {
  readonly title: string;
  readonly seconds: number;
  readonly load: Load;
}

async function loadOf(options: SimulateOptions): Promise<PlayedLoad> {
  const { trace: path, load: text, promptTokens, outputTokens, seed } = options;
  if (path !== undefined) {
    if (text !== undefined) throw usage("simulate", "--trace and --load exclude each other");
    const trace = await readInput("trace", path, traceFileBytesMax, parseTrace);
    const seconds = Math.ceil((trace.atMs.at(-1) ?? 0) / 1000) + 1;
    const requests = plural(trace.atMs.length, "request");
    return { title: `${path}: ${requests} in ${shortSeconds(seconds)}`, seconds, load: { trace } };
  }
  const expression = text ?? defaultLoad;
  const parsed = parseLoad(expression);
  if (parsed.problems !== undefined)
    throw usage("simulate", `--load: ${parsed.problems.join("; ")}`);
  const { seconds, rate } = parsed.value;
  const tokens = `${tokenText(promptTokens)} tokens in, ${tokenText(outputTokens)} out`;
  const title = `${expression} (${shortSeconds(seconds)}, ${tokens}, seed ${seed})`;
  return { title, seconds, load: { rate, promptTokens, outputTokens } };
}

function tokenText(tokens: TokenCount): string {
  return typeof tokens === "number" ? `${tokens}` : `${tokens.p50}/${tokens.p95}`;
}

async function replicaOf(
  name: string,
): Promise<{ readonly title: string; readonly file: ReplicaFile }> {
  const preset = presetNames.find((known) => known === name);
  if (preset !== undefined) {
    const { title, replica, gpuMemoryMib } = replicaPresets[preset];
    return { title: `${preset}: ${title}`, file: { replica, gpuMemoryMib, podsPerReplica: 1 } };
  }
  // A word that is no file is rather a preset that is misspelt.
  if (!/[./]/.test(name) && (await contentOf(name, simulateFileBytesMax)).problems !== undefined)
    throw usage("simulate", presetProblem(name));
  const file = await readInput("replica model", name, simulateFileBytesMax, parseReplicaFile);
  const { batchSlots, loadSeconds, gpus } = file.replica;
  const what = `${plural(batchSlots, "slot")}, ${plural(gpus, "GPU")}, loads in ${loadSeconds} s`;
  return { title: `${name}: ${what}`, file };
}

function presetProblem(name: string): string {
  const all = presetNames.join(", ");
  return `--replica-model must be a file or one of ${all}, got "${name}"${didYouMean(name, presetNames)}`;
}

function scenarioOf(
  { targetKind, model }: Pick<ScaledObjectFile, "targetKind" | "model">,
  { seconds, load }: PlayedLoad,
  { replica, gpuMemoryMib, podsPerReplica }: ReplicaFile,
): Scenario {
  return {
    seconds,
    load,
    replica,
    cluster: { gpuMemoryMib },
    target: {
      kind: targetKind,
      replicas: Math.max(1, model.minReplicaCount ?? 0),
      groupSize: targetKind === "LeaderWorkerSet" ? podsPerReplica : 1,
    },
    scaledObject: model,
    timelineSeconds: Math.max(15, Math.ceil(seconds / timelineRowsGoal)),
  };
}

/** @throws {Fault} `usage-invalid` without a ScaledObject. */
function simulateOptions(
  flags: FlagValues<typeof simulateFlags>,
  hasColor: boolean,
): SimulateOptions {
  const { scaledobject, profiles, compare = [], trace, load: expression, seed } = flags;
  if (scaledobject === undefined)
    throw usage("simulate", "--scaledobject must be the path of a file, got nothing");
  return {
    scaledObject: scaledobject,
    profiles,
    compare,
    trace,
    load: expression,
    promptTokens: flags["prompt-tokens"],
    outputTokens: flags["output-tokens"],
    replicaModel: flags["replica-model"],
    withinMs: flags.within,
    goalPercent: flags.goal,
    gpuHourPrice: flags["gpu-hour-price"],
    seed,
    format: flags.output,
    hasColor,
  };
}

export const simulateCommand = command("simulate", {
  summary: "Play a ScaledObject over a load, and report waits, GPU-hours and scale events",
  flags: simulateFlags,
  examples: [
    'keda-gpu-scaler simulate --scaledobject deploy/examples/profiles/llm-concurrency.yaml --load "2 rps for 10m"',
  ],
  run: async ({ flags }, { stdout, hasColor }) => {
    stdout(await reportOf(simulateOptions(flags, hasColor)));
    return exitCodes.done;
  },
});
