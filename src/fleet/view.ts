import type { MetricName } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { Holder, NodeReport } from "#telemetry/report.ts";

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
  /** When the kubelet last told the holders; absent when it never did. */
  readonly holdersAtMs?: number;
  readonly driverVersion?: string;
  readonly libraryVersion?: string;
  readonly devices: readonly FleetDevice[];
}

/** An agent that is listed and cannot be heard, so that its node's readings are missing. */
export interface SilentAgent {
  /** Its `host:port`. */
  readonly address: string;
  /** Its node, when the list or the agent itself has named it. */
  readonly node?: string;
  readonly sinceMs: number;
  /** What was tried and how it failed; for people. */
  readonly reason: string;
}

/** Everything known of all nodes now. */
export interface FleetView {
  /** A node whose agent is listed no more is not among them; one that fell silent still is. */
  readonly nodes: ReadonlyMap<string, FleetNode>;
  readonly silent: readonly SilentAgent[];
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

/** The one writable thing behind a `FleetView`. */
export interface FleetStore {
  /** Replaces what is known of a node. Devices that it no longer names are gone. */
  readonly put: (report: NodeReport) => void;
  readonly remove: (nodeName: string) => void;
  /** Replaces the list of agents that are listed and not heard. */
  readonly silent: (agents: readonly SilentAgent[]) => void;
  readonly view: () => FleetView;
  /** Runs `listener` after every change; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}
