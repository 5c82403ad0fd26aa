import type { MetricName } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";

/** A container that was given a device. */
export interface Holder {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** A device as the answer sees it. Times are the receiver's monotonic clock. */
export interface FleetDevice extends DeviceSample {
  readonly node: string;
  readonly sampledAtMs: number;
  readonly holders: readonly Holder[];
  /** Since when its health is not ok; absent while it is. */
  readonly unwellSinceMs?: number;
  /** Since when each absent reading is absent. */
  readonly absentSinceMs: { readonly [Name in ReadingName]?: number };
}

export interface FleetNode {
  readonly name: string;
  readonly sampleIntervalMs: number;
  readonly sampledAtMs: number;
  readonly driverVersion?: string;
  readonly libraryVersion?: string;
  readonly devices: readonly FleetDevice[];
}

/** Everything known of all nodes now. */
export interface FleetView {
  readonly nodes: ReadonlyMap<string, FleetNode>;
  /**
   * Time-weighted mean of a device metric.
   *
   * @returns `undefined` when nothing was seen in the window.
   */
  readonly average: (
    device: FleetDevice,
    metric: MetricName,
    windowMs: number,
  ) => number | undefined;
}

/** What one node says of itself at one time, as `node` makes it and the stream carries it. */
export interface NodeReport {
  readonly name: string;
  readonly sampleIntervalMs: number;
  /** How old the readings were when the report arrived, by the node's own clock. */
  readonly ageMs: number;
  /** Of the node's driver session: another number means that indexes and counters began anew. */
  readonly session: number;
  readonly driverVersion?: string;
  readonly libraryVersion?: string;
  readonly devices: readonly (DeviceSample & { readonly holders: readonly Holder[] })[];
}

/** The one writable thing behind a `FleetView`. */
export interface FleetStore {
  /** Replaces what is known of a node. Devices that it no longer names are gone. */
  readonly put: (report: NodeReport) => void;
  readonly remove: (nodeName: string) => void;
  readonly view: () => FleetView;
  /** Runs `listener` after every change; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}
