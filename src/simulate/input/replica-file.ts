/**
 * From the text of a replica model to the model, or every problem at once.
 *
 * @module
 */
import * as v from "valibot";
import { between, choice, exact, number, say, whole } from "#core/file-schema.ts";
import { int32Max } from "#core/limits.ts";
import { parseYaml } from "#core/yaml-text.ts";
import type { ReplicaModel } from "#simulate/scenario.ts";
import type { InputResult } from "./input-result.ts";
import { presetNames, type ReplicaPreset, replicaPresets } from "./presets.ts";

/** What a file of `--replica-model` says. */
export interface ReplicaFile extends Pick<ReplicaPreset, "replica" | "gpuMemoryMib"> {
  /** Pods of a LeaderWorkerSet's group, with so many devices each; elsewhere 1. */
  readonly podsPerReplica: number;
}

// YAML has an infinite number, of which no time and no speed can be made.
const above0 = v.pipe(
  number,
  v.gtValue(0, say("must be a number above 0")),
  v.maxValue(int32Max, say(`must be a number up to ${int32Max}`)),
);
const from0 = between(0, int32Max);
const positive = whole(1, int32Max);

/** Keys of a replica model's file, and what each says. */
export const replicaKeys = {
  preset: "a preset; what the file says beside it counts",
  loadSeconds: "from the start of the container to readiness",
  batchSlots: "requests worked on at once",
  prefillTokensPerSecond: "tokens in, one prompt after the other",
  decodeTokensPerSecond: "tokens out, of a request that is alone",
  batchSlowdown: "a request in a full batch takes this much longer for a token: 1 is twice as long",
  kvBlocks: "blocks of the cache; a request takes blocks for all its tokens while it is worked on",
  kvBlockTokens: "tokens of a block",
  gpus: "devices of each pod",
  podsPerReplica: "pods of a LeaderWorkerSet's group",
  memoryMib: "device memory that a pod takes on each device from its start on",
  gpuMemoryMib: "memory of a device",
  saturatedAt: "share of the batch at which a device's utilization is 100 %",
  drainSeconds: "time that a pod which is being deleted has for what it works on",
} as const;
type ReplicaKey = keyof typeof replicaKeys;

const schema = exact({
  preset: v.exactOptional(choice(presetNames)),
  loadSeconds: v.exactOptional(from0),
  batchSlots: v.exactOptional(positive),
  prefillTokensPerSecond: v.exactOptional(above0),
  decodeTokensPerSecond: v.exactOptional(above0),
  batchSlowdown: v.exactOptional(from0),
  kvBlocks: v.exactOptional(positive),
  kvBlockTokens: v.exactOptional(positive),
  gpus: v.exactOptional(whole(1, 8)),
  podsPerReplica: v.exactOptional(positive),
  memoryMib: v.exactOptional(positive),
  gpuMemoryMib: v.exactOptional(positive),
  saturatedAt: v.exactOptional(
    v.pipe(above0, v.maxValue(1, say("must be a number from above 0 to 1"))),
  ),
  drainSeconds: v.exactOptional(from0),
} satisfies Record<ReplicaKey, unknown>);

/** Without a preset these decide everything, so that none may be guessed. */
const required = [
  "loadSeconds",
  "batchSlots",
  "prefillTokensPerSecond",
  "decodeTokensPerSecond",
  "kvBlocks",
] as const satisfies readonly (keyof ReplicaModel)[];

export function parseReplicaFile(yamlText: string): InputResult<ReplicaFile> {
  const yaml = parseYaml(yamlText);
  if (yaml.problems !== undefined) return yaml;
  const parsed = v.safeParse(schema, yaml.value);
  if (!parsed.success) return { problems: yaml.problemsOf(parsed.issues) };
  const { preset, podsPerReplica = 1, gpuMemoryMib, ...own } = parsed.output;
  const missing = required.filter((key) => preset === undefined && own[key] === undefined);
  if (missing.length > 0)
    return { problems: [`the file: must name a preset, or also say ${missing.join(", ")}`] };
  const base: ReplicaPreset = replicaPresets[preset ?? "h100-8b"];
  const replica = { ...base.replica, ...own };
  // What NVML counts depends on the batch, so a preset's share means the preset's batch.
  const saturatedAt = own.saturatedAt ?? 1 / replica.batchSlots;
  const memory = gpuMemoryMib ?? base.gpuMemoryMib;
  if (replica.memoryMib > memory) {
    const problem = `memoryMib: must not be above gpuMemoryMib, ${memory}, got ${replica.memoryMib}`;
    return { problems: [yaml.located(["memoryMib"], problem)] };
  }
  return { value: { replica: { ...replica, saturatedAt }, gpuMemoryMib: memory, podsPerReplica } };
}
