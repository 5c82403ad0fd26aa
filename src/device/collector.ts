/**
 * The contract between the sampling worker and a vendor.
 *
 * A collector is synchronous on purpose: a native call blocks its thread whatever the signature
 * says, so all collectors live on the worker thread and nothing else does.
 *
 * @module
 */
import type { DeviceSample } from "#metric/sample.ts";

/** Readings that cost too much to take unless somebody asks for them. */
export interface Demand {
  /** NVML counts PCIe bytes for 20 ms inside each of two calls a device. */
  readonly pcieThroughput: boolean;
}

/** Everything one pass over the devices gave. */
export interface Collection {
  /** Counts the driver sessions: handles, indexes and counters of another session mean nothing. */
  readonly session: number;
  readonly driverVersion?: string | undefined;
  readonly libraryVersion?: string | undefined;
  readonly devices: readonly DeviceSample[];
}

export interface Collector {
  readonly name: "auto" | "nvml" | "amdgpu" | "mock";
  /**
   * Reads every device once, lost ones included: a known device never disappears in silence.
   *
   * @throws {Fault} `library-missing`, `library-failed` or `file-invalid` when there is no session;
   * the next call tries again, with its own back-off.
   */
  readonly collect: (demand: Demand) => Collection;
  /** Lets go of the driver, so that it can be unloaded. */
  readonly close: () => void;
}

/** How a collector is chosen; plain data, for it crosses into the worker. */
export interface CollectorOptions {
  readonly collector: "auto" | "nvml" | "amdgpu" | "mock";
  /** Overrides the places where `libnvidia-ml.so.1` is looked for. */
  readonly nvmlLibrary?: string | undefined;
  /** Where sysfs is mounted; `/sys` when absent. */
  readonly sysfsRoot?: string | undefined;
  /** A mock file; without it the mock collector plays its embedded default. */
  readonly mockFile?: string | undefined;
}
