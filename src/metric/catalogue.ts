/**
 * The metrics a trigger can ask for: the one table that code, errors, documents and tests use.
 *
 * A *quantity* adds up over replicas, an *intensity* does not. `instead` names what to ask for on a
 * device that does not have the metric.
 *
 * @module
 */
import type { ReadingName, Readings } from "./reading.ts";

export type MetricKind = "quantity" | "intensity";

interface MetricBase {
  readonly unit: string;
  readonly kind: MetricKind;
  readonly help: string;
}
export interface DeviceMetric extends MetricBase {
  readonly source: "device";
  /** The readings it is made of: absent as soon as one of them, and its fallback, is. */
  readonly needs: readonly ReadingName[];
  /** What is read where a needed reading is absent. */
  readonly fallbacks?: { readonly [Name in ReadingName]?: ReadingName };
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
] as const;
export type SignalName = (typeof signalNames)[number];

const bytesPerMib = 1024 * 1024;
const instantForAverage = { powerAverageMilliwatts: "powerInstantMilliwatts" } as const;

type DeviceRow = MetricBase &
  Pick<DeviceMetric, "isShared"> & { readonly instead?: readonly string[] };

function single(need: ReadingName, row: DeviceRow & { readonly scale?: number }): DeviceMetric {
  const { instead = [], scale = 1, ...base } = row;
  const of = (readings: Readings) => {
    const reading = readings[need];
    return reading === undefined ? undefined : reading * scale;
  };
  return { ...base, source: "device", needs: [need], of, instead };
}

function share(part: ReadingName, whole: ReadingName, row: DeviceRow): DeviceMetric {
  const { instead = [], ...base } = row;
  const of = (readings: Readings) => {
    const [parts, wholes] = [readings[part], readings[whole]];
    return parts === undefined || wholes === undefined ? undefined : (parts / wholes) * 100;
  };
  return { ...base, source: "device", needs: [part, whole], of, instead };
}

function engine(signal: SignalName, unit: string, kind: MetricKind, help: string): EngineMetric {
  return { unit, kind, help, source: "engine", signal };
}
const gpm = { unit: "%", kind: "intensity", isShared: true, instead: ["gpu_utilization"] } as const;

const metrics = {
  gpu_utilization: single("utilizationPercent", {
    unit: "%",
    kind: "intensity",
    isShared: true,
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
    help: "Device memory in use, without what the driver reserves",
    scale: 1 / bytesPerMib,
    instead: ["gpu_utilization"],
  }),
  memory_used_percent: share("memoryUsedBytes", "memoryTotalBytes", {
    unit: "%",
    kind: "intensity",
    isShared: true,
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
    of: ({ powerAverageMilliwatts, powerInstantMilliwatts }) => {
      const milliwatts = powerAverageMilliwatts ?? powerInstantMilliwatts;
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
    unit: "%",
    kind: "intensity",
    isShared: true,
    help: "Share of time in which the video encoder was busy",
  }),
  decoder_utilization: single("decoderPercent", {
    unit: "%",
    kind: "intensity",
    isShared: true,
    help: "Share of time in which the video decoder was busy",
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
