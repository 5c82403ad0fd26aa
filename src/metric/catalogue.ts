/**
 * The metrics a trigger can ask for: the one table that code, errors, documents and tests use.
 *
 * A *quantity* adds up over replicas, an *intensity* does not. `instead` names what to ask for on a
 * device that does not have the metric.
 *
 * @module
 */
import type { ReadingName, Readings } from "./reading.ts";
import type { ReducerName } from "./reduce.ts";

export type MetricKind = "quantity" | "intensity";

/**
 * What a MIG instance, or a partition of an AMD GPU, has of a metric:
 * - `own`: its own reading, of which a partition has what the driver tells
 * - `gpm`: its own reading where there is performance monitoring (Hopper and newer, and the tables of
 *   AMD's driver), else none
 * - `share`: the part of its GPU's that its part of the GPU's memory is
 * - `none`: nothing, for it is the chip's
 */
export type InstanceRule = "own" | "gpm" | "share" | "none";

interface MetricBase {
  readonly unit: string;
  readonly kind: MetricKind;
  readonly help: string;
}
export interface DeviceMetric extends MetricBase {
  readonly source: "device";
  /** The readings it is made of: absent as soon as one of them, and its fallback, is. */
  readonly needs: readonly ReadingName[];
  /** What is read where a needed reading is absent, in this order. */
  readonly fallbacks?: { readonly [Name in ReadingName]?: readonly ReadingName[] };
  readonly instance: InstanceRule;
  /** How a replica's devices are reduced where the trigger does not say; `max` when absent. */
  readonly aggregation?: ReducerName;
  /**
   * Whether it is a part of what the device has or does, so that each of several pods that share the
   * device has a part of it. A temperature or a clock is everyone's.
   */
  readonly isShared: boolean;
  readonly of: (readings: Readings) => number | undefined;
  readonly instead: readonly string[];
}
export interface EngineMetric extends MetricBase {
  readonly source: "engine";
  /**
   * What the engine is asked for: several names may stand for one signal. Absent: the series that
   * the trigger's `engineMetric` names.
   */
  readonly signal?: SignalName;
  /** When to scale on it, or why not: whole sentences. */
  readonly advice?: string;
  /** It is good when it is high, so that the HPA moves the wrong way. */
  readonly isInverted?: boolean;
}

/** What inference engines and the gateways in front of them tell, whichever they are. */
export const signalNames = [
  "queue_depth",
  "running_requests",
  "concurrency",
  "kv_cache_usage",
  "ttft_p50_ms",
  "ttft_p95_ms",
  "ttft_p99_ms",
  "inter_token_p95_ms",
  "e2e_p95_ms",
  "queue_wait_ms",
  "request_rate",
  "error_rate",
  "generation_tokens_per_second",
  "prompt_tokens_per_second",
  "preemptions_per_second",
  "loaded_models",
  "prefix_cache_hit_rate",
  "spec_decode_acceptance_rate",
  "lora_slot_usage",
  "lora_adapters_waiting",
  "kv_transfer_requests",
  "kv_transfer_p95_ms",
] as const;
export type SignalName = (typeof signalNames)[number];

const bytesPerMib = 1024 * 1024;
const instantForAverage = { powerAverageMilliwatts: ["powerInstantMilliwatts"] } as const;

type DeviceRow = MetricBase &
  Pick<DeviceMetric, "isShared"> & {
    readonly instead?: readonly string[];
    /** `none` when absent. */
    readonly instance?: InstanceRule;
  };

function single(need: ReadingName, row: DeviceRow & { readonly scale?: number }): DeviceMetric {
  const { instead = [], instance = "none", scale = 1, ...base } = row;
  const of = (readings: Readings) => {
    const reading = readings[need];
    return reading === undefined ? undefined : reading * scale;
  };
  return { ...base, source: "device", needs: [need], of, instead, instance };
}

function share(part: ReadingName, whole: ReadingName, row: DeviceRow): DeviceMetric {
  const { instead = [], instance = "none", ...base } = row;
  const of = (readings: Readings) => {
    const [parts, wholes] = [readings[part], readings[whole]];
    return parts === undefined || wholes === undefined ? undefined : (parts / wholes) * 100;
  };
  return { ...base, source: "device", needs: [part, whole], of, instead, instance };
}

function engine(signal: SignalName, unit: string, kind: MetricKind, help: string): EngineMetric {
  return { unit, kind, help, source: "engine", signal };
}
const gpm = {
  unit: "%",
  kind: "intensity",
  isShared: true,
  instance: "gpm",
  instead: ["gpu_utilization"],
} as const;
/** Engines of the chip that a MIG instance may have some of. */
const mediaEngine = { unit: "%", kind: "intensity", isShared: true, instance: "gpm" } as const;

const metrics = {
  gpu_utilization: single("utilizationPercent", {
    unit: "%",
    kind: "intensity",
    isShared: true,
    instance: "gpm",
    help: "Share of time in which at least one kernel ran",
    instead: ["sm_utilization", "memory_used_percent"],
  }),
  memory_utilization: single("memoryUtilizationPercent", {
    unit: "%",
    kind: "intensity",
    isShared: true,
    help: "Share of time in which the memory controller was busy",
    instead: ["dram_bandwidth_utilization", "memory_used_percent"],
  }),
  memory_used_mib: single("memoryUsedBytes", {
    unit: "MiB",
    kind: "quantity",
    isShared: true,
    instance: "own",
    help: "Device memory in use, without what the driver reserves",
    scale: 1 / bytesPerMib,
    instead: ["gpu_utilization"],
  }),
  memory_used_percent: share("memoryUsedBytes", "memoryTotalBytes", {
    unit: "%",
    kind: "intensity",
    isShared: true,
    instance: "own",
    help: "Device memory in use, of all the device has",
    instead: ["gpu_utilization"],
  }),
  temperature: single("temperatureCelsius", {
    unit: "°C",
    kind: "intensity",
    isShared: false,
    help: "Temperature of the GPU die",
  }),
  memory_temperature: single("memoryTemperatureCelsius", {
    unit: "°C",
    kind: "intensity",
    isShared: false,
    help: "Temperature of the device memory (HBM)",
    instead: ["temperature"],
  }),
  power_draw: {
    unit: "W",
    kind: "quantity",
    isShared: true,
    help: "Board power, averaged by the driver where it can, otherwise instantaneous",
    source: "device",
    needs: ["powerAverageMilliwatts"],
    fallbacks: instantForAverage,
    instance: "share",
    of: ({ powerAverageMilliwatts, powerInstantMilliwatts }) => {
      const milliwatts = powerAverageMilliwatts ?? powerInstantMilliwatts;
      return milliwatts === undefined ? undefined : milliwatts / 1000;
    },
    instead: ["gpu_utilization"],
  },
  workload_power_watts: {
    unit: "W",
    kind: "quantity",
    isShared: true,
    help: "Power of the workload's devices together, by their energy counters where they have them",
    source: "device",
    needs: ["powerFromEnergyMilliwatts"],
    fallbacks: {
      powerFromEnergyMilliwatts: ["powerAverageMilliwatts", "powerInstantMilliwatts"],
    },
    instance: "share",
    aggregation: "sum",
    of: ({ powerFromEnergyMilliwatts, powerAverageMilliwatts, powerInstantMilliwatts }) => {
      const milliwatts =
        powerFromEnergyMilliwatts ?? powerAverageMilliwatts ?? powerInstantMilliwatts;
      return milliwatts === undefined ? undefined : milliwatts / 1000;
    },
    instead: ["gpu_utilization"],
  },
  power_percent: {
    unit: "%",
    kind: "intensity",
    isShared: true,
    help: "Board power, of the limit in force",
    source: "device",
    needs: ["powerAverageMilliwatts", "powerLimitMilliwatts"],
    fallbacks: instantForAverage,
    instance: "none",
    of: ({ powerAverageMilliwatts, powerInstantMilliwatts, powerLimitMilliwatts }) => {
      const milliwatts = powerAverageMilliwatts ?? powerInstantMilliwatts;
      return milliwatts === undefined || powerLimitMilliwatts === undefined
        ? undefined
        : (milliwatts / powerLimitMilliwatts) * 100;
    },
    instead: ["gpu_utilization"],
  },
  sm_clock_mhz: single("smClockMegahertz", {
    unit: "MHz",
    kind: "intensity",
    isShared: false,
    help: "Clock of the streaming multiprocessors",
  }),
  encoder_utilization: single("encoderPercent", {
    ...mediaEngine,
    help: "Share of time in which the video encoder was busy",
  }),
  decoder_utilization: single("decoderPercent", {
    ...mediaEngine,
    help: "Share of time in which the video decoder was busy",
  }),
  jpeg_utilization: single("jpegPercent", {
    ...mediaEngine,
    help: "Share of time in which the JPEG decoder was busy",
    instead: ["decoder_utilization"],
  }),
  ofa_utilization: single("ofaPercent", {
    ...mediaEngine,
    help: "Share of time in which the optical flow accelerator was busy",
    instead: ["gpu_utilization"],
  }),
  pcie_tx_kbps: single("pcieTxKilobytesPerSecond", {
    unit: "KB/s",
    kind: "quantity",
    isShared: true,
    help: "PCIe traffic from the device",
    instead: ["memory_utilization"],
  }),
  pcie_rx_kbps: single("pcieRxKilobytesPerSecond", {
    unit: "KB/s",
    kind: "quantity",
    isShared: true,
    help: "PCIe traffic to the device",
    instead: ["memory_utilization"],
  }),
  nvlink_tx_mbps: single("nvlinkTxMegabytesPerSecond", {
    unit: "MB/s",
    kind: "quantity",
    isShared: true,
    help: "NVLink data sent, over all links",
    instead: ["gpu_utilization"],
  }),
  nvlink_rx_mbps: single("nvlinkRxMegabytesPerSecond", {
    unit: "MB/s",
    kind: "quantity",
    isShared: true,
    help: "NVLink data received, over all links",
    instead: ["gpu_utilization"],
  }),
  sm_utilization: single("smUtilizationPercent", {
    ...gpm,
    help: "Share of streaming multiprocessors that were busy (Hopper and newer)",
  }),
  sm_occupancy: single("smOccupancyPercent", {
    ...gpm,
    help: "Active warps, of all that fit (Hopper and newer)",
  }),
  tensor_utilization: single("tensorUtilizationPercent", {
    ...gpm,
    help: "Share of time in which the tensor cores were busy (Hopper and newer)",
  }),
  dram_bandwidth_utilization: single("dramBandwidthPercent", {
    ...gpm,
    help: "Memory bandwidth in use, of what the device can do (Hopper and newer)",
    instead: ["memory_utilization"],
  }),
  fp16_utilization: single("fp16UtilizationPercent", {
    ...gpm,
    help: "Share of time in which the pipes for 16-bit floats were busy, tensor cores aside (Hopper and newer)",
    instead: ["tensor_utilization", "gpu_utilization"],
  }),
  fp32_utilization: single("fp32UtilizationPercent", {
    ...gpm,
    help: "Share of time in which the pipes for 32-bit floats were busy, tensor cores aside (Hopper and newer)",
  }),
  fp64_utilization: single("fp64UtilizationPercent", {
    ...gpm,
    help: "Share of time in which the pipes for 64-bit floats were busy, tensor cores aside (Hopper and newer)",
  }),
  queue_depth: engine(
    "queue_depth",
    "requests",
    "quantity",
    "Requests that wait in the engine for a place in the batch",
  ),
  running_requests: engine(
    "running_requests",
    "requests",
    "quantity",
    "Requests that the engine works on",
  ),
  concurrency: engine(
    "concurrency",
    "requests",
    "quantity",
    "Requests in the engine: waiting and running",
  ),
  kv_cache_usage: engine(
    "kv_cache_usage",
    "%",
    "intensity",
    "Key-value cache in use, mean over the engine's ranks",
  ),
  ttft_p50_ms: engine("ttft_p50_ms", "ms", "intensity", "Median time to the first token"),
  ttft_p95_ms: engine(
    "ttft_p95_ms",
    "ms",
    "intensity",
    "Time to the first token that 95 % of requests stay below",
  ),
  ttft_p99_ms: engine(
    "ttft_p99_ms",
    "ms",
    "intensity",
    "Time to the first token that 99 % of requests stay below",
  ),
  inter_token_p95_ms: engine(
    "inter_token_p95_ms",
    "ms",
    "intensity",
    "Time between output tokens that 95 % stay below",
  ),
  e2e_p95_ms: engine(
    "e2e_p95_ms",
    "ms",
    "intensity",
    "Time from arrival to the last token that 95 % of requests stay below",
  ),
  queue_wait_ms: engine(
    "queue_wait_ms",
    "ms",
    "intensity",
    "Mean time a request waited in the engine's queue",
  ),
  request_rate: engine(
    "request_rate",
    "requests/s",
    "quantity",
    "Requests in a second: finished ones at an engine, arrived ones at most gateways",
  ),
  error_rate: engine(
    "error_rate",
    "requests/s",
    "quantity",
    "Requests that failed or were refused in a second",
  ),
  generation_tokens_per_second: engine(
    "generation_tokens_per_second",
    "tokens/s",
    "quantity",
    "Tokens generated in a second",
  ),
  prompt_tokens_per_second: engine(
    "prompt_tokens_per_second",
    "tokens/s",
    "quantity",
    "Prompt tokens processed in a second",
  ),
  preemptions_per_second: engine(
    "preemptions_per_second",
    "requests/s",
    "quantity",
    "Requests put back for want of key-value cache in a second",
  ),
  loaded_models: engine("loaded_models", "models", "quantity", "Models held in device memory"),
  prefix_cache_hit_rate: {
    ...engine(
      "prefix_cache_hit_rate",
      "%",
      "intensity",
      "Prompt tokens that the prefix cache had, of all that were looked up there",
    ),
    isInverted: true,
    advice:
      "Do not scale on it: it is inverted, for it falls when each request takes more work, and a replica that was just added has an empty cache and lowers it further. Scale on queue_depth or ttft_p95_ms, and look at this one to tell why they grow.",
  },
  spec_decode_acceptance_rate: {
    ...engine(
      "spec_decode_acceptance_rate",
      "%",
      "intensity",
      "Draft tokens that the model accepted, of all that speculative decoding proposed",
    ),
    isInverted: true,
    advice:
      "Do not scale on it: it is inverted, and comes of the draft model and of the texts, which no replica changes. Scale on inter_token_p95_ms or generation_tokens_per_second, and look at this one to tell why they change.",
  },
  lora_slot_usage: {
    ...engine("lora_slot_usage", "%", "intensity", "LoRA slots in use, of those that there are"),
    advice:
      "Scale on it where a router keeps each adapter to few replicas, with a target below 100; where any replica gets any adapter, all of them stay full with every number of replicas.",
  },
  lora_adapters_waiting: {
    ...engine(
      "lora_adapters_waiting",
      "adapters",
      "quantity",
      "Different LoRA adapters among the requests that wait",
    ),
    advice:
      "Scale on it beside queue_depth, with a target of one adapter or more, where a router keeps each adapter to few replicas: what waits there waits for a slot.",
  },
  kv_transfer_requests: {
    ...engine(
      "kv_transfer_requests",
      "requests",
      "quantity",
      "Requests that wait for a key-value cache to come from, or go to, another server",
    ),
    advice:
      "Scale the other side on it: on prefill servers it grows while decode servers are slow to take over, on decode servers while prefill servers or the network are; more replicas of the side that waits do not shorten the wait.",
  },
  kv_transfer_p95_ms: {
    ...engine(
      "kv_transfer_p95_ms",
      "ms",
      "intensity",
      "Time of a key-value cache transfer between servers that 95 % stay below",
    ),
    advice:
      "Do not scale on it: it is the network's time, and more replicas share the same network. Scale on queue_depth, and look at this one to tell why ttft_p95_ms grows.",
  },
  engine_metric: {
    unit: "its own",
    kind: "quantity",
    help: "The series that engineMetric names; a counter by what it gains in a second",
    source: "engine",
  },
  vllm_queue_depth: engine("queue_depth", "requests", "quantity", "Another name of queue_depth"),
  vllm_kv_cache_usage: engine("kv_cache_usage", "%", "intensity", "Another name of kv_cache_usage"),
  triton_queue_wait_ms: engine("queue_wait_ms", "ms", "intensity", "Another name of queue_wait_ms"),
  triton_request_rate: engine(
    "request_rate",
    "requests/s",
    "quantity",
    "Another name of request_rate",
  ),
} as const satisfies Record<string, DeviceMetric | EngineMetric>;

export type MetricName = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as MetricName[];

/** Whether a metric, or a signal of that name, is a time that requests take. */
export function isLatency(name: MetricName): boolean {
  return metrics[name].unit === "ms";
}

/** The row of a metric, without the literal types of the table. */
export function metricOf(name: MetricName): DeviceMetric | EngineMetric {
  return metrics[name];
}
