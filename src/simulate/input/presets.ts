/**
 * Replica models of common devices and models, each with where its numbers come from.
 *
 * Numbers that nobody published are computed from data sheets: tokens out by the bandwidth that
 * reading all weights once takes, tokens in by two operations for each weight, cache blocks by what
 * 90 % of the memory leaves. Of these peaks 77 % (out) and 44 % (in) are taken, the shares that the
 * two measurements below reached. Loading is a second for each gigabyte of weights and a minute for
 * compilation and graphs, as a log in vllm-project/vllm pull request 12569 shows. How much slower a
 * full batch of the 8B presets is continues one measured point in a straight line, 6.6 times the
 * tokens at 8 requests, and is the same guess for all three devices. A device is
 * utilized whenever a request runs, because NVML counts time in which any kernel ran.
 *
 * @module
 */
import type { ReplicaModel } from "#simulate/scenario.ts";

/** A replica, and the memory of the devices that it runs on. */
export interface ReplicaPreset {
  readonly replica: ReplicaModel;
  readonly gpuMemoryMib: number;
  /** What it is, in words. */
  readonly title: string;
  readonly source: string;
}

const measured70b =
  "https://docs.nvidia.com/nim/benchmarking/llm/1.0.0/performance (Llama 3.3 70B, NIM 1.8.0, 2 x H100, fp8, 5,000 tokens in, 500 out)";
const measured8b =
  "https://johnmusgrave.com/p/vllm-throughput-latency-sweep-on (Llama 3.1 8B, vLLM 0.23.0, A100 40 GB)";

export const replicaPresets = {
  "l4-8b": {
    title: "8B model in bf16 on one L4",
    source: `NVIDIA's data sheet: 300 GB/s, 121 TFLOPS, 24 GB; shares and slowdown of ${measured8b}`,
    gpuMemoryMib: 23_034,
    replica: model8b({
      batchSlots: 32,
      prefillTokensPerSecond: 3_300,
      decodeTokensPerSecond: 14,
      batchSlowdown: 1.9,
      kvBlocks: 2_500,
      memoryMib: 20_700,
    }),
  },
  "a100-8b": {
    title: "8B model in bf16 on one A100 80 GB",
    source: `NVIDIA's data sheet: 2,039 GB/s, 312 TFLOPS, 80 GB; shares and slowdown of ${measured8b}`,
    gpuMemoryMib: 81_920,
    replica: model8b({
      batchSlots: 64,
      prefillTokensPerSecond: 8_500,
      decodeTokensPerSecond: 98,
      batchSlowdown: 1.9,
      kvBlocks: 28_000,
      memoryMib: 73_700,
    }),
  },
  "h100-8b": {
    title: "8B model in bf16 on one H100 80 GB",
    source: `NVIDIA's data sheet: 3,350 GB/s, 989 TFLOPS, 80 GB; shares and slowdown of ${measured8b}`,
    gpuMemoryMib: 81_559,
    replica: model8b({
      batchSlots: 64,
      prefillTokensPerSecond: 27_000,
      decodeTokensPerSecond: 160,
      batchSlowdown: 1.9,
      kvBlocks: 28_000,
      memoryMib: 73_400,
    }),
  },
  "h200-70b": {
    title: "70B model in fp8 on one H200",
    source: `NVIDIA's data sheet: 4,800 GB/s, 1,979 TFLOPS in fp8, 141 GB; shares and slowdown of ${measured70b}`,
    gpuMemoryMib: 143_771,
    replica: model70b({
      prefillTokensPerSecond: 6_200,
      decodeTokensPerSecond: 52,
      kvBlocks: 12_400,
      gpus: 1,
      memoryMib: 129_000,
    }),
  },
  "h100x2-70b": {
    title: "70B model in fp8 on two H100 80 GB",
    source: `measured: ${measured70b}; cache blocks computed`,
    gpuMemoryMib: 81_559,
    replica: model70b({
      prefillTokensPerSecond: 12_300,
      decodeTokensPerSecond: 54,
      kvBlocks: 15_900,
      gpus: 2,
      memoryMib: 73_400,
    }),
  },
} as const satisfies Readonly<Record<string, ReplicaPreset>>;
export type PresetName = keyof typeof replicaPresets;
export const presetNames = Object.keys(replicaPresets) as PresetName[];

function model8b(
  own: Pick<
    ReplicaModel,
    | "batchSlots"
    | "prefillTokensPerSecond"
    | "decodeTokensPerSecond"
    | "batchSlowdown"
    | "kvBlocks"
    | "memoryMib"
  >,
): ReplicaModel {
  return {
    ...own,
    loadSeconds: 76,
    kvBlockTokens: 16,
    gpus: 1,
    saturatedAt: 1 / own.batchSlots,
    drainSeconds: 30,
  };
}

/** Beyond 80 requests the measured server gave no more tokens, five times as slow for each request. */
function model70b(
  own: Pick<
    ReplicaModel,
    "prefillTokensPerSecond" | "decodeTokensPerSecond" | "kvBlocks" | "gpus" | "memoryMib"
  >,
): ReplicaModel {
  return {
    ...own,
    loadSeconds: 131,
    batchSlots: 80,
    batchSlowdown: 3.9,
    kvBlockTokens: 16,
    saturatedAt: 1 / 80,
    drainSeconds: 30,
  };
}
