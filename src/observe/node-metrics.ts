/**
 * What a process shows of its own node: each device's readings, and how taking them went.
 *
 * The first six gauges have the names that existing dashboards use; they do not change.
 *
 * @module
 */
import { Histogram, type Registry } from "prom-client";
import type { Readings } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { counter, gauge } from "./read-metric.ts";

export interface NodeStats {
  /** Those with a fresh sample: a stale reading is no reading. */
  readonly devices: () => readonly DeviceSample[];
  /** What a device used since the process started; `undefined` when the device does not tell. */
  readonly energyJoules: (uuid: string) => number | undefined;
  /** Of the pods that hold this node's devices. */
  readonly podEnergy: () => readonly PodEnergy[];
  /** Passes over the devices since the start. */
  readonly sampling: () => {
    readonly collections: number;
    readonly faults: number;
    readonly skipped: number;
  };
}

/** What a pod's devices used since the process first saw that it holds them. */
export interface PodEnergy {
  readonly namespace: string;
  readonly pod: string;
  readonly joules: number;
}

/** A pass over 8 devices takes milliseconds; a driver in trouble blocks for up to 45 s. */
const collectionBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 45];

interface DeviceGauge {
  readonly name: string;
  readonly help: string;
  /** In the unit that the name says; `undefined` leaves the series out. */
  readonly of: (readings: Readings) => number | undefined;
}

const scaled = (value: number | undefined, factor: number) =>
  value === undefined ? undefined : value * factor;

export const deviceGauges: readonly DeviceGauge[] = [
  {
    name: "keda_gpu_scaler_gpu_utilization_percent",
    help: "Share of time in which at least one kernel ran",
    of: (r) => r.utilizationPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_memory_used_bytes",
    help: "Device memory in use, without what the driver reserves",
    of: (r) => r.memoryUsedBytes,
  },
  {
    name: "keda_gpu_scaler_gpu_memory_total_bytes",
    help: "Device memory",
    of: (r) => r.memoryTotalBytes,
  },
  {
    name: "keda_gpu_scaler_gpu_temperature_celsius",
    help: "Temperature of the GPU die",
    of: (r) => r.temperatureCelsius,
  },
  {
    name: "keda_gpu_scaler_gpu_power_draw_watts",
    help: "Board power, averaged by the driver where it can",
    of: (r) => scaled(r.powerAverageMilliwatts ?? r.powerInstantMilliwatts, 1 / 1000),
  },
  {
    name: "keda_gpu_scaler_gpu_power_instant_watts",
    help: "Board power at the moment of the sample",
    of: (r) => scaled(r.powerInstantMilliwatts, 1 / 1000),
  },
  {
    name: "keda_gpu_scaler_gpu_power_from_energy_watts",
    help: "Mean power of the last seconds, by the device's energy counter",
    of: (r) => scaled(r.powerFromEnergyMilliwatts, 1 / 1000),
  },
  {
    name: "keda_gpu_scaler_gpu_power_limit_watts",
    help: "Power limit in force",
    of: (r) => scaled(r.powerLimitMilliwatts, 1 / 1000),
  },
  {
    name: "keda_gpu_scaler_gpu_energy_joules",
    help: "Energy used since the driver was loaded",
    of: (r) => scaled(r.energyMillijoules, 1 / 1000),
  },
  {
    name: "keda_gpu_scaler_gpu_memory_utilization_percent",
    help: "Share of time in which the memory controller was busy",
    of: (r) => r.memoryUtilizationPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_memory_temperature_celsius",
    help: "Temperature of the device memory",
    of: (r) => r.memoryTemperatureCelsius,
  },
  {
    name: "keda_gpu_scaler_gpu_sm_clock_hertz",
    help: "Clock of the streaming multiprocessors",
    of: (r) => scaled(r.smClockMegahertz, 1e6),
  },
  {
    name: "keda_gpu_scaler_gpu_memory_clock_hertz",
    help: "Clock of the device memory",
    of: (r) => scaled(r.memoryClockMegahertz, 1e6),
  },
  {
    name: "keda_gpu_scaler_gpu_encoder_utilization_percent",
    help: "Share of time in which the video encoder was busy",
    of: (r) => r.encoderPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_decoder_utilization_percent",
    help: "Share of time in which the video decoder was busy",
    of: (r) => r.decoderPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_jpeg_utilization_percent",
    help: "Share of time in which the JPEG decoder was busy",
    of: (r) => r.jpegPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_ofa_utilization_percent",
    help: "Share of time in which the optical flow accelerator was busy",
    of: (r) => r.ofaPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_throttle_reasons",
    help: "NVML's mask of the reasons why the clocks are low",
    of: (r) => r.throttleReasonsMask,
  },
  {
    name: "keda_gpu_scaler_gpu_performance_state",
    help: "P-state: 0 is the fastest",
    of: (r) => r.performanceState,
  },
  {
    name: "keda_gpu_scaler_gpu_ecc_corrected_errors",
    help: "Memory errors corrected since the driver was loaded",
    of: (r) => r.eccCorrectedErrors,
  },
  {
    name: "keda_gpu_scaler_gpu_ecc_uncorrected_errors",
    help: "Memory errors not corrected since the driver was loaded",
    of: (r) => r.eccUncorrectedErrors,
  },
  {
    name: "keda_gpu_scaler_gpu_pcie_tx_bytes_per_second",
    help: "PCIe traffic from the device",
    of: (r) => scaled(r.pcieTxKilobytesPerSecond, 1e3),
  },
  {
    name: "keda_gpu_scaler_gpu_pcie_rx_bytes_per_second",
    help: "PCIe traffic to the device",
    of: (r) => scaled(r.pcieRxKilobytesPerSecond, 1e3),
  },
  {
    name: "keda_gpu_scaler_gpu_nvlink_tx_bytes_per_second",
    help: "NVLink data sent, over all links",
    of: (r) => scaled(r.nvlinkTxMegabytesPerSecond, 1e6),
  },
  {
    name: "keda_gpu_scaler_gpu_nvlink_rx_bytes_per_second",
    help: "NVLink data received, over all links",
    of: (r) => scaled(r.nvlinkRxMegabytesPerSecond, 1e6),
  },
  {
    name: "keda_gpu_scaler_gpu_sm_utilization_percent",
    help: "Share of streaming multiprocessors that were busy",
    of: (r) => r.smUtilizationPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_sm_occupancy_percent",
    help: "Active warps, of all that fit",
    of: (r) => r.smOccupancyPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_tensor_utilization_percent",
    help: "Share of time in which the tensor cores were busy",
    of: (r) => r.tensorUtilizationPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_dram_bandwidth_utilization_percent",
    help: "Memory bandwidth in use, of what the device can do",
    of: (r) => r.dramBandwidthPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_fp16_utilization_percent",
    help: "Share of time in which the pipes for 16-bit floats were busy, tensor cores aside",
    of: (r) => r.fp16UtilizationPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_fp32_utilization_percent",
    help: "Share of time in which the pipes for 32-bit floats were busy, tensor cores aside",
    of: (r) => r.fp32UtilizationPercent,
  },
  {
    name: "keda_gpu_scaler_gpu_fp64_utilization_percent",
    help: "Share of time in which the pipes for 64-bit floats were busy, tensor cores aside",
    of: (r) => r.fp64UtilizationPercent,
  },
];

const labelNames = ["gpu_index", "gpu_uuid", "gpu_name"] as const;
const labelsOf = ({ index, uuid, model }: DeviceSample) => ({
  gpu_index: String(index),
  gpu_uuid: uuid,
  gpu_name: model,
});

/** @returns Where the time of each pass is observed. */
export function registerNode(
  registry: Registry,
  { devices, energyJoules, podEnergy, sampling }: NodeStats,
): Histogram {
  registerDevices(registry, devices);
  registerDeviceEnergy(registry, devices, energyJoules);
  counter(
    registry,
    {
      name: "keda_gpu_scaler_pod_energy_joules_total",
      help: "Energy of the devices that a pod of this node holds, of shared ones in equal parts",
      labelNames: ["namespace", "pod"],
    },
    (add) => {
      for (const { namespace, pod, joules } of podEnergy()) add(joules, { namespace, pod });
    },
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_collections_total",
      help: "Passes over the devices that gave readings",
    },
    (add) => add(sampling().collections),
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_collection_errors_total",
      help: "Passes over the devices that failed as a whole",
    },
    (add) => add(sampling().faults),
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_collections_skipped_total",
      help: "Samples left out because a pass took longer than the interval",
    },
    (add) => add(sampling().skipped),
  );
  return new Histogram({
    name: "keda_gpu_scaler_collection_duration_seconds",
    help: "Time of one pass over the devices",
    buckets: collectionBucketsSeconds,
    registers: [registry],
  });
}

function registerDeviceEnergy(
  registry: Registry,
  devices: NodeStats["devices"],
  energyJoules: NodeStats["energyJoules"],
): void {
  counter(
    registry,
    {
      name: "keda_gpu_scaler_gpu_energy_joules_total",
      help: "Energy used since the process started: by the device's counter, else by its power",
      labelNames,
    },
    (add) => {
      for (const device of devices()) {
        const joules = energyJoules(device.uuid);
        if (joules !== undefined) add(joules, labelsOf(device));
      }
    },
  );
}

function registerDevices(registry: Registry, devices: NodeStats["devices"]): void {
  for (const { name, help, of } of deviceGauges)
    gauge(registry, { name, help, labelNames }, (set) => {
      for (const device of devices()) {
        const value = of(device.readings);
        if (value !== undefined) set(value, labelsOf(device));
      }
    });
  gauge(
    registry,
    { name: "keda_gpu_scaler_gpu_device_count", help: "Devices that the driver lists" },
    (set) => set(devices().length),
  );
  gauge(
    registry,
    { name: "keda_gpu_scaler_gpu_up", help: "1 while the device answers", labelNames },
    (set) => {
      for (const device of devices()) set(device.health.state === "ok" ? 1 : 0, labelsOf(device));
    },
  );
  registerHealth(registry, devices);
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_gpu_reading_absent",
      help: "1 for each reading that the device should have and does not give now, with the reason",
      labelNames: [...labelNames, "reading", "reason"],
    },
    (set) => {
      for (const device of devices())
        for (const [reading, reason] of Object.entries(device.absences))
          if (reason !== "unsupported") set(1, { ...labelsOf(device), reading, reason });
    },
  );
}

function registerHealth(registry: Registry, devices: NodeStats["devices"]): void {
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_gpu_health",
      help: "1 for the state that the device is in: ok, failing, reset-required or lost",
      labelNames: [...labelNames, "state"],
    },
    (set) => {
      for (const device of devices()) set(1, { ...labelsOf(device), state: device.health.state });
    },
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_gpu_condition",
      help: "1 for each kind of condition that the device is in",
      labelNames: [...labelNames, "kind"],
    },
    (set) => {
      for (const device of devices())
        for (const { kind } of device.conditions) set(1, { ...labelsOf(device), kind });
    },
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_gpu_xid_events_total",
      help: "XIDs that the driver reported since the process started, by number and kind",
      labelNames: [...labelNames, "xid", "kind"],
    },
    (add) => {
      for (const device of devices())
        for (const { xid, kind, count } of device.xidCounts ?? [])
          add(count, { ...labelsOf(device), xid: String(xid), kind });
    },
  );
}
