/**
 * `simulate`: plays ScaledObjects over a load, and reports what users and the bill would have seen.
 *
 * @module
 */
import { didYouMean } from "#core/closest.ts";
import { Fault, messageOf } from "#core/fault.ts";
import {
  comparisonsMax,
  inputProblemsMax,
  profilesFileBytesMax,
  simulateFileBytesMax,
  timelineRowsGoal,
  traceFileBytesMax,
} from "#core/limits.ts";
import { readRegularFile } from "#core/regular-file.ts";
import type { InputResult } from "#simulate/input/input-result.ts";
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
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { builtInProfiles, type ProfileTable } from "#trigger/profiles.ts";

export const simulateFormats = ["text", "json", "html"] as const;

export interface SimulateOptions {
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

export const defaultLoad = "2 rps for 10m, ramp 2..20 rps over 5m, 20 rps for 15m, 0 rps for 15m";

/**
 * @returns The report as text.
 * @throws {Fault} `file-invalid` with line and rule of each problem, `usage-invalid` for a load.
 */
export async function simulateCommand(options: SimulateOptions): Promise<string> {
  const { withinMs, goalPercent, gpuHourPrice, seed, format, hasColor } = options;
  const files = [options.scaledObject, ...options.compare];
  if (files.length > comparisonsMax + 1)
    throw usage(`--compare must be given at most ${comparisonsMax} times, got ${files.length - 1}`);
  const load = await loadOf(options);
  const replica = await replicaOf(options.replicaModel);
  const profiles = await profilesOf(options.profiles);
  const parse = (text: string) => parseScaledObject(text, profiles);
  const objects: ScaledObjectFile[] = [];
  for (const file of files)
    objects.push(await read("ScaledObject", file, simulateFileBytesMax, parse));

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
    if (text !== undefined) throw usage("--trace and --load exclude each other");
    const trace = await read("trace", path, traceFileBytesMax, parseTrace);
    const seconds = Math.ceil((trace.atMs.at(-1) ?? 0) / 1000) + 1;
    const requests = plural(trace.atMs.length, "request");
    return { title: `${path}: ${requests} in ${shortSeconds(seconds)}`, seconds, load: { trace } };
  }
  const expression = text ?? defaultLoad;
  const parsed = parseLoad(expression);
  if (parsed.problems !== undefined) throw usage(`--load: ${parsed.problems.join("; ")}`);
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
    throw usage(presetProblem(name));
  const file = await read("replica model", name, simulateFileBytesMax, parseReplicaFile);
  const { batchSlots, loadSeconds, gpus } = file.replica;
  const what = `${plural(batchSlots, "slot")}, ${plural(gpus, "GPU")}, loads in ${loadSeconds} s`;
  return { title: `${name}: ${what}`, file };
}

async function profilesOf(path: string | undefined): Promise<ProfileTable> {
  if (path === undefined) return builtInProfiles;
  return read("profiles", path, profilesFileBytesMax, (text) => {
    const { table, problems } = parseProfiles(text);
    return table === undefined ? { problems } : { value: table };
  });
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

/** Reads and parses a file that the command line names. */
async function read<Value>(
  what: string,
  path: string,
  bytesMax: number,
  parse: (text: string) => InputResult<Value>,
): Promise<Value> {
  const parsed = await contentOf(path, bytesMax).then((content) =>
    content.problems === undefined ? parse(content.value) : content,
  );
  if (parsed.problems === undefined) return parsed.value;
  const shown = parsed.problems.slice(0, inputProblemsMax);
  const more = parsed.problems.length - shown.length;
  const all = `${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
  const message = `Cannot use ${what} file ${path}: ${all}; correct it`;
  throw new Fault("file-invalid", message, { path, problems: parsed.problems });
}

async function contentOf(path: string, bytesMax: number): Promise<InputResult<string>> {
  try {
    return { value: await readRegularFile(path, bytesMax) };
  } catch (error) {
    return { problems: [`the file: cannot be read: ${messageOf(error)}`] };
  }
}

function usage(problem: string): Fault {
  return new Fault("usage-invalid", `Cannot run simulate: ${problem}`, { problems: [problem] });
}
