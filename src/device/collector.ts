/**
 * The contract between the sampling worker and a vendor.
 *
 * A native call blocks its thread whatever the signature says, so all collectors live on the worker
 * thread and nothing else does.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { DeviceProcess } from "#metric/device-use.ts";
import type { DeviceSample } from "#metric/sample.ts";

/** Readings that cost too much to take unless somebody asks for them. */
export interface Demand {
  /** NVML counts PCIe bytes for 20 ms inside each of two calls a device. */
  readonly pcieThroughput: boolean;
  /**
   * UUIDs of the devices whose processes are told apart; absent: of none. One of NVML's lists of
   * processes may take 4.5 ms, in which the driver serves nobody else.
   */
  readonly processesOf?: readonly string[] | undefined;
}

/** A device as it was read, with what stays on its node. */
export interface CollectedDevice extends DeviceSample {
  /** Absent where nobody asked, and where the driver did not answer. */
  readonly processes?: readonly DeviceProcess[] | undefined;
}

/** Everything one pass over the devices gave. */
export interface Collection {
  /** Counts the driver sessions: handles, indexes and counters of another session mean nothing. */
  readonly session: number;
  readonly driverVersion?: string | undefined;
  readonly libraryVersion?: string | undefined;
  readonly devices: readonly CollectedDevice[];
}

export interface Collector<Name extends string = CollectorName> {
  readonly name: Name;
  /**
   * Reads every device once, lost ones included: a known device never disappears in silence. The next
   * call comes after this one ended.
   *
   * @throws {Fault} `library-missing`, `library-failed`, `exporter-unreadable`, `endpoint-refused` or
   * `file-invalid` when there is no session;
   * the next call tries again, with its own back-off.
   */
  readonly collect: (demand: Demand) => Collection | Promise<Collection>;
  /** Lets go of the driver, so that it can be unloaded. */
  readonly close: () => void;
}

/** Has its collection when the call returns, having blocked the thread meanwhile. */
export interface BlockingCollector extends Collector {
  readonly collect: (demand: Demand) => Collection;
}

/** In the order in which their devices are listed; a vendor is a folder here. */
export const vendorNames = ["nvml", "amdgpu", "exporter"] as const;
export type VendorName = (typeof vendorNames)[number];
export const collectorNames = ["auto", ...vendorNames, "mock"] as const;
export type CollectorName = (typeof collectorNames)[number];

/** How a collector is chosen; plain data, for it crosses into the worker. */
export interface CollectorOptions {
  readonly collector: CollectorName;
  /** Overrides the places where `libnvidia-ml.so.1` is looked for. */
  readonly nvmlLibrary?: string | undefined;
  /** Where sysfs is mounted; `/sys` when absent. */
  readonly sysfsRoot?: string | undefined;
  /** An exporter of this node that devices are read from. */
  readonly exporter?: ExporterOptions | undefined;
  /** A mock file; without it the mock collector plays its embedded default. */
  readonly mockFile?: string | undefined;
}

export interface ExporterOptions {
  /** A built-in table, or the path of a file with one. */
  readonly table: string;
  /** Where its page is; absent: on the table's port, at the node's own address or else on loopback. */
  readonly url?: string | undefined;
  /** The node's own, as Kubernetes tells them. */
  readonly nodeAddresses: readonly string[];
}

/** What a collector may use of the thread it runs on. */
export interface CollectorTools {
  readonly clock: Clock;
  readonly log: Log;
  /** Blocks the thread, as a driver call does; `Infinity` blocks it for ever. */
  readonly sleep: (ms: number) => void;
}

/** One vendor's devices: how it is known that there are some, and how they are read. */
export interface Vendor<Name extends string = VendorName> {
  readonly name: Name;
  /** Reads nothing before the first `collect`. */
  readonly collector: (
    options: CollectorOptions,
    tools: CollectorTools,
  ) => Collector<Name | CollectorName>;
  /** Asked again and again by `auto`, so that it must be cheap. */
  readonly isPresent: (options: CollectorOptions) => boolean;
  /** For people, where no vendor is present. */
  readonly absence: (options: CollectorOptions) => VendorAbsence;
}

export interface VendorAbsence {
  /** Where it was looked for. */
  readonly paths: readonly string[];
  /** As in `no card in /sys/class/drm has AMD's vendor id 0x1002`. */
  readonly problem: string;
  /** What to do, so that it is found. */
  readonly remedy: string;
}
