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
  /** The readings it is made of: absent as soon as one of them, and its stand-in, is. */
  readonly needs: readonly ReadingName[];
  /** What is taken where a needed reading is absent. */
  readonly standIns?: { readonly [Name in ReadingName]?: ReadingName };
  readonly of: (readings: Readings) => number | undefined;
  readonly instead: readonly string[];
}
export interface EngineMetric extends MetricBase {
  readonly source: "engine";
}

const bytesPerMib = 1024 * 1024;
const instantForAverage = { powerAverageMilliwatts: "powerInstantMilliwatts" } as const;

function single(
  need: ReadingName,
  row: MetricBase & { readonly instead?: readonly string[]; readonly scale?: number },
): DeviceMetric {
  const { instead = [], scale = 1, ...base } = row;
  const of = (readings: Readings) => {
    const reading = readings[need];
    return reading === undefined ? undefined : reading * scale;
  };
  return { ...base, source: "device", needs: [need], of, instead };
}

function share(
  part: ReadingName,
  whole: ReadingName,
  row: MetricBase & { readonly instead?: readonly string[] },
): DeviceMetric {
  const { instead = [], ...base } = row;
  const of = (readings: Readings) => {
    const [parts, wholes] = [readings[part], readings[whole]];
    return parts === undefined || wholes === undefined ? undefined : (parts / wholes) * 100;
  };
  return { ...base, source: "device", needs: [part, whole], of, instead };
}

const engine = (row: MetricBase): EngineMetric => ({ ...row, source: "engine" });
const gpm = { unit: "%", kind: "intensity", instead: ["gpu_utilization"] } as const;

const metrics = {
  gpu_utilization: single("utilizationPercent", {
    unit: "%",
    kind: "intensity",
    help: "Share of time in which at least one kernel ran",
    instead: ["sm_utilization", "memory_used_percent"],
  }),
  memory_utilization: single("memoryUtilizationPercent", {
    unit: "%",
    kind: "intensity",
    help: "Share of time in which the memory controller was busy",
    instead: ["dram_bandwidth_utilization", "memory_used_percent"],
  }),
  memory_used_mib: single("memoryUsedBytes", {
    unit: "MiB",
    kind: "quantity",
    help: "Device memory in use, without what the driver reserves",
    scale: 1 / bytesPerMib,
    instead: ["gpu_utilization"],
  }),
  memory_used_percent: share("memoryUsedBytes", "memoryTotalBytes", {
    unit: "%",
    kind: "intensity",
    help: "Device memory in use, of all the device has",
    instead: ["gpu_utilization"],
  }),
  temperature: single("temperatureCelsius", {
    unit: "°C",
    kind: "intensity",
    help: "Temperature of the GPU die",
  }),
  memory_temperature: single("memoryTemperatureCelsius", {
    unit: "°C",
    kind: "intensity",
    help: "Temperature of the device memory (HBM)",
    instead: ["temperature"],
  }),
  power_draw: {
    unit: "W",
    kind: "quantity",
    help: "Board power, averaged by the driver where it can, otherwise instantaneous",
    source: "device",
    needs: ["powerAverageMilliwatts"],
    standIns: instantForAverage,
    of: ({ powerAverageMilliwatts, powerInstantMilliwatts }) => {
      const milliwatts = powerAverageMilliwatts ?? powerInstantMilliwatts;
      return milliwatts === undefined ? undefined : milliwatts / 1000;
    },
    instead: ["gpu_utilization"],
  },
  power_percent: {
    unit: "%",
    kind: "intensity",
    help: "Board power, of the limit in force",
    source: "device",
    needs: ["powerAverageMilliwatts", "powerLimitMilliwatts"],
    standIns: instantForAverage,
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
    help: "Clock of the streaming multiprocessors",
  }),
  encoder_utilization: single("encoderPercent", {
    unit: "%",
    kind: "intensity",
    help: "Share of time in which the video encoder was busy",
  }),
  decoder_utilization: single("decoderPercent", {
    unit: "%",
    kind: "intensity",
    help: "Share of time in which the video decoder was busy",
  }),
  pcie_tx_kbps: single("pcieTxKilobytesPerSecond", {
    unit: "KB/s",
    kind: "quantity",
    help: "PCIe traffic from the device",
    instead: ["memory_utilization"],
  }),
  pcie_rx_kbps: single("pcieRxKilobytesPerSecond", {
    unit: "KB/s",
    kind: "quantity",
    help: "PCIe traffic to the device",
    instead: ["memory_utilization"],
  }),
  nvlink_tx_mbps: single("nvlinkTxMegabytesPerSecond", {
    unit: "MB/s",
    kind: "quantity",
    help: "NVLink data sent, over all links",
    instead: ["gpu_utilization"],
  }),
  nvlink_rx_mbps: single("nvlinkRxMegabytesPerSecond", {
    unit: "MB/s",
    kind: "quantity",
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
  vllm_queue_depth: engine({
    unit: "requests",
    kind: "quantity",
    help: "Requests that wait in vLLM for a place in the batch",
  }),
  vllm_kv_cache_usage: engine({
    unit: "%",
    kind: "intensity",
    help: "Key-value cache in use in vLLM",
  }),
  triton_queue_wait_ms: engine({
    unit: "ms",
    kind: "intensity",
    help: "Mean time a request waited in Triton's queue",
  }),
  triton_request_rate: engine({
    unit: "requests/s",
    kind: "quantity",
    help: "Requests that Triton finished in a second",
  }),
} as const satisfies Record<string, DeviceMetric | EngineMetric>;

export type MetricName = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as MetricName[];

/** The row of a metric, without the literal types of the table. */
export function metricOf(name: MetricName): DeviceMetric | EngineMetric {
  return metrics[name];
}
