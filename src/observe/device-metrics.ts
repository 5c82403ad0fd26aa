/**
 * The gauges of each device, as Prometheus sees them.
 *
 * The first six names are those that existing dashboards use; they do not change.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { Readings } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { gauge } from "./read-metric.ts";

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
    name: "gpu_utilization_percent",
    help: "Share of time in which at least one kernel ran",
    of: (r) => r.utilizationPercent,
  },
  {
    name: "gpu_memory_used_bytes",
    help: "Device memory in use, without what the driver reserves",
    of: (r) => r.memoryUsedBytes,
  },
  { name: "gpu_memory_total_bytes", help: "Device memory", of: (r) => r.memoryTotalBytes },
  {
    name: "gpu_temperature_celsius",
    help: "Temperature of the GPU die",
    of: (r) => r.temperatureCelsius,
  },
  {
    name: "gpu_power_draw_watts",
    help: "Board power, averaged by the driver where it can",
    of: (r) => scaled(r.powerAverageMilliwatts ?? r.powerInstantMilliwatts, 1 / 1000),
  },
  {
    name: "gpu_power_instant_watts",
    help: "Board power at the moment of the sample",
    of: (r) => scaled(r.powerInstantMilliwatts, 1 / 1000),
  },
  {
    name: "gpu_power_limit_watts",
    help: "Power limit in force",
    of: (r) => scaled(r.powerLimitMilliwatts, 1 / 1000),
  },
  {
    name: "gpu_energy_joules",
    help: "Energy used since the driver was loaded",
    of: (r) => scaled(r.energyMillijoules, 1 / 1000),
  },
  {
    name: "gpu_memory_utilization_percent",
    help: "Share of time in which the memory controller was busy",
    of: (r) => r.memoryUtilizationPercent,
  },
  {
    name: "gpu_memory_temperature_celsius",
    help: "Temperature of the device memory",
    of: (r) => r.memoryTemperatureCelsius,
  },
  {
    name: "gpu_sm_clock_hertz",
    help: "Clock of the streaming multiprocessors",
    of: (r) => scaled(r.smClockMegahertz, 1e6),
  },
  {
    name: "gpu_memory_clock_hertz",
    help: "Clock of the device memory",
    of: (r) => scaled(r.memoryClockMegahertz, 1e6),
  },
  {
    name: "gpu_encoder_utilization_percent",
    help: "Share of time in which the video encoder was busy",
    of: (r) => r.encoderPercent,
  },
  {
    name: "gpu_decoder_utilization_percent",
    help: "Share of time in which the video decoder was busy",
    of: (r) => r.decoderPercent,
  },
  {
    name: "gpu_throttle_reasons",
    help: "NVML's mask of the reasons why the clocks are low",
    of: (r) => r.throttleReasonsMask,
  },
  {
    name: "gpu_performance_state",
    help: "P-state: 0 is the fastest",
    of: (r) => r.performanceState,
  },
  {
    name: "gpu_ecc_corrected_errors",
    help: "Memory errors corrected since the driver was loaded",
    of: (r) => r.eccCorrectedErrors,
  },
  {
    name: "gpu_ecc_uncorrected_errors",
    help: "Memory errors not corrected since the driver was loaded",
    of: (r) => r.eccUncorrectedErrors,
  },
  {
    name: "gpu_pcie_tx_bytes_per_second",
    help: "PCIe traffic from the device",
    of: (r) => scaled(r.pcieTxKilobytesPerSecond, 1e3),
  },
  {
    name: "gpu_pcie_rx_bytes_per_second",
    help: "PCIe traffic to the device",
    of: (r) => scaled(r.pcieRxKilobytesPerSecond, 1e3),
  },
  {
    name: "gpu_nvlink_tx_bytes_per_second",
    help: "NVLink data sent, over all links",
    of: (r) => scaled(r.nvlinkTxMegabytesPerSecond, 1e6),
  },
  {
    name: "gpu_nvlink_rx_bytes_per_second",
    help: "NVLink data received, over all links",
    of: (r) => scaled(r.nvlinkRxMegabytesPerSecond, 1e6),
  },
  {
    name: "gpu_sm_utilization_percent",
    help: "Share of streaming multiprocessors that were busy",
    of: (r) => r.smUtilizationPercent,
  },
  {
    name: "gpu_sm_occupancy_percent",
    help: "Active warps, of all that fit",
    of: (r) => r.smOccupancyPercent,
  },
  {
    name: "gpu_tensor_utilization_percent",
    help: "Share of time in which the tensor cores were busy",
    of: (r) => r.tensorUtilizationPercent,
  },
  {
    name: "gpu_dram_bandwidth_utilization_percent",
    help: "Memory bandwidth in use, of what the device can do",
    of: (r) => r.dramBandwidthPercent,
  },
];

const labelNames = ["gpu_index", "gpu_uuid", "gpu_name"] as const;
const labelsOf = ({ index, uuid, model }: DeviceSample) => ({
  gpu_index: String(index),
  gpu_uuid: uuid,
  gpu_name: model,
});

/**
 * Registers the gauges of all devices, read anew at each scrape.
 *
 * @param devices Those of this node whose sample is fresh: a stale reading is no reading.
 */
export function registerDeviceMetrics(
  registry: Registry,
  prefix: string,
  devices: () => readonly DeviceSample[],
): void {
  for (const { name, help, of } of deviceGauges)
    gauge(registry, `${prefix}${name}`, help, labelNames, (set) => {
      for (const device of devices()) {
        const value = of(device.readings);
        if (value !== undefined) set(labelsOf(device), value);
      }
    });

  gauge(registry, `${prefix}gpu_device_count`, "Devices that the driver lists", [], (set) =>
    set({}, devices().length),
  );
  gauge(registry, `${prefix}gpu_up`, "1 while the device answers", labelNames, (set) => {
    for (const device of devices()) set(labelsOf(device), device.health.state === "ok" ? 1 : 0);
  });
  gauge(
    registry,
    `${prefix}gpu_reading_absent`,
    "1 for each reading that the device should have and does not give now, with the reason",
    [...labelNames, "reading", "reason"],
    (set) => {
      for (const device of devices())
        for (const [reading, reason] of Object.entries(device.absences))
          if (reason !== "unsupported") set({ ...labelsOf(device), reading, reason }, 1);
    },
  );
}
