/**
 * Replica models of common devices and models, each with where its numbers come from. All sources were
 * read in November 2026; what no measurement gives is an estimate, by the arithmetic below.
 *
 * - Tokens out of a request that is alone: the bandwidth divided by the bytes of all weights (16.06 GB of
 *   an 8B model in bf16, 70.6 GB of a 70B model in fp8), of which 77 % are reached (`measured8b`).
 * - Tokens in: the dense peak divided by two operations a weight, of which 44 % are reached
 *   (`measured70b`: 5,000 tokens in 407 ms on two devices of 1,979 TFLOPS).
 * - A full batch of an 8B model: a straight line through one measured point, 8 requests that give 6.6
 *   times the tokens of one. What slows a batch is the cache that is read beside the weights, so it is
 *   the same line on every device.
 * - Cache blocks of 16 tokens: what the weights leave of 90 % of the memory, at 2 MiB a block of an 8B
 *   model and 5 MiB of a 70B model. vLLM printed 27,846 for an 8B model, some 1,200 fewer than that
 *   arithmetic gives for 80 GB (github.com/vllm-project/vllm/pull/10460), for its activations need room
 *   too.
 * - Memory: as `nvidia-smi` prints it (github.com/modal-labs/modal-client/pull/2797; that of the H200 is
 *   not from a source).
 * - Loading: a second for each gigabyte of weights, of which logs show a fifth to three and a half
 *   (github.com/vllm-project/vllm/pull/23066 and /44106), and a minute for profiling, compilation and
 *   graphs, which took 42 to 60 s in /10460.
 * - Utilization: NVML counts time in which any kernel ran, so that a single request is 100 %.
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

const measured8b =
  "https://johnmusgrave.com/p/vllm-throughput-latency-sweep-on (Llama 3.1 8B, vLLM 0.23.0, A100 40 GB)";
const measured70b =
  "https://docs.nvidia.com/nim/benchmarking/llm/1.0.0/performance (Llama 3.3 70B, NIM 1.8.0, 2 x H100, fp8, 5,000 tokens in, 500 out)";
const readOn = "read 2026-11";

/** Of a preset for which nobody published a measurement. */
function estimate(bandwidth: string, compute: string, url: string): string {
  return (
    `estimate (${readOn}): 77 % of ${bandwidth} and 44 % of ${compute}, ${url}; shares by ` +
    `${measured8b} and ${measured70b}`
  );
}

export const replicaPresets = {
  "l4-8b": {
    title: "8B model in bf16 on one L4",
    source: estimate(
      "300 GB/s",
      "121 TFLOPS (242 with sparsity)",
      "https://grokipedia.com/page/NVIDIA_L4_vs_L40S",
    ),
    gpuMemoryMib: 23_034,
    replica: model8b({
      batchSlots: 32,
      prefillTokensPerSecond: 3_300,
      decodeTokensPerSecond: 14,
      batchSlowdown: 0.9,
      kvBlocks: 2_500,
      memoryMib: 20_700,
    }),
  },
  "a100-8b": {
    title: "8B model in bf16 on one A100 80 GB",
    source: estimate(
      "2,039 GB/s",
      "312 TFLOPS",
      "https://glennklockwood.com/garden/processors/A100",
    ),
    gpuMemoryMib: 81_920,
    replica: model8b({
      batchSlots: 64,
      prefillTokensPerSecond: 8_500,
      decodeTokensPerSecond: 98,
      batchSlowdown: 1.9,
      kvBlocks: 27_800,
      memoryMib: 73_700,
    }),
  },
  "h100-8b": {
    title: "8B model in bf16 on one H100 80 GB",
    source: estimate(
      "3,350 GB/s",
      "989 TFLOPS",
      "https://glennklockwood.com/garden/processors/h100",
    ),
    gpuMemoryMib: 81_559,
    replica: model8b({
      batchSlots: 64,
      prefillTokensPerSecond: 27_000,
      decodeTokensPerSecond: 160,
      batchSlowdown: 1.9,
      kvBlocks: 27_800,
      memoryMib: 73_400,
    }),
  },
  "h200-70b": {
    title: "70B model in fp8 on one H200",
    source: estimate(
      "4,800 GB/s",
      "1,979 TFLOPS in fp8",
      "https://huggingface.co/datasets/devidasmishra/ai-inference-hardware-economics-2026",
    ),
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
    source: `measured (${readOn}): ${measured70b}; loading and cache blocks are estimates`,
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

/**
 * The measured server gave at most 920 tokens a second, with 93 ms between two of a request: 85 at once,
 * each five times as slow as one that is alone.
 */
function model70b(
  own: Pick<
    ReplicaModel,
    "prefillTokensPerSecond" | "decodeTokensPerSecond" | "kvBlocks" | "gpus" | "memoryMib"
  >,
): ReplicaModel {
  return {
    ...own,
    loadSeconds: 131,
    batchSlots: 85,
    batchSlowdown: 4,
    kvBlockTokens: 16,
    saturatedAt: 1 / 85,
    drainSeconds: 30,
  };
}
