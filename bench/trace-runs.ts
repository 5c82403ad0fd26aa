/**
 * Traces of requests played under ScaledObjects: what the tables of traces have in common.
 */
import { join } from "node:path";
import { type PresetName, replicaPresets } from "#simulate/input/presets.ts";
import { parseScaledObject } from "#simulate/input/scaled-object-file.ts";
import { parseTrace } from "#simulate/input/trace-file.ts";
import { type Outcome, outcomeOf } from "#simulate/report/outcome.ts";
import type { ScaledObjectModel, Trace } from "#simulate/scenario.ts";
import { simulate } from "#simulate/simulate.ts";
import { type ProfileAdvice, profileAdvice } from "#trigger/advice.ts";
import { type ProfileName, profileOf } from "#trigger/profiles.ts";
import { type Practice, throughPrometheus } from "./practice.ts";

const withinMs = 2_000;
const seed = 1;
export const limits = { minReplicaCount: 1, maxReplicaCount: 12 };
export const mainPreset = "h100x2-70b";

export async function readTrace(path: string): Promise<Trace> {
  const parsed = parseTrace(await Bun.file(path).text());
  if (parsed.problems !== undefined) throw new Error(`${path}: ${parsed.problems.join("; ")}`);
  return parsed.value;
}

/** Every request by so much later, so that other ones meet a poll of KEDA or a sync of the HPA. */
export function later(trace: Trace, ms: number): Trace {
  return { ...trace, atMs: trace.atMs.map((atMs) => atMs + ms) };
}

/** One request of so many. */
export function thinned(trace: Trace, every: number): Trace {
  const kept = (all: readonly number[]) => all.filter((_one, index) => index % every === 0);
  const { atMs, promptTokens, outputTokens } = trace;
  return {
    atMs: kept(atMs),
    promptTokens: kept(promptTokens),
    outputTokens: kept(outputTokens),
  };
}

export interface ProfileChange {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly advice?: Partial<ProfileAdvice>;
}

/** A profile's trigger alone, with the behaviour and cooldown that it advises. */
export function ofProfile(name: ProfileName, change: ProfileChange = {}): ScaledObjectModel {
  const { metricType } = profileOf(name);
  const { scaleUp, scaleDown, cooldownSeconds } = { ...profileAdvice[name], ...change.advice };
  const metadata = { scalerAddress: "scaler:6000", profile: name, ...change.metadata };
  return {
    ...limits,
    cooldownPeriod: cooldownSeconds,
    behavior: { scaleUp, scaleDown },
    triggers: [{ metricType, metadata }],
  };
}

/** A ScaledObject of deploy/examples as it stands, but for the most replicas. */
export async function ofExample(path: string): Promise<ScaledObjectModel> {
  const file = join(import.meta.dir, "..", "deploy", "examples", path);
  const parsed = parseScaledObject(await Bun.file(file).text());
  if (parsed.problems !== undefined) throw new Error(`${path}: ${parsed.problems.join("; ")}`);
  const { maxReplicaCount } = limits;
  return { ...parsed.value.model, maxReplicaCount };
}

export interface PlayOptions {
  readonly replicas?: number | undefined;
  readonly practice?: Practice | undefined;
  readonly preset?: PresetName | undefined;
}

export function played(
  trace: Trace,
  scaledObject: ScaledObjectModel,
  { replicas = 2, practice, preset = mainPreset }: PlayOptions = {},
): Outcome {
  const { replica, gpuMemoryMib } = replicaPresets[preset];
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
      ? simulate(scenario, seed)
      : simulate(scenario, seed, throughPrometheus(practice));
  return outcomeOf(run, { withinMs });
}
