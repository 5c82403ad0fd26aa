import type { MetricName } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { NodeReport, ReportedDevice } from "#telemetry/report.ts";

/** A device as the answer sees it. Times are the receiver's monotonic clock. */
export interface FleetDevice extends ReportedDevice {
  readonly node: string;
  readonly sampledAtMs: number;
  /** Since when its health is not ok; absent while it is. */
  readonly unwellSinceMs?: number | undefined;
  /** Since when each absent reading is absent; of one that is pending, and costs, since it is demanded. */
  readonly absentSinceMs: { readonly [Name in ReadingName]?: number };
}

export interface FleetNode {
  readonly name: string;
  readonly sampleIntervalMs: number;
  readonly sampledAtMs: number;
  /** When the kubelet last listed the holders; absent when it never did. */
  readonly holdersAtMs?: number | undefined;
  readonly driverVersion?: string | undefined;
  readonly libraryVersion?: string | undefined;
  readonly devices: readonly FleetDevice[];
}

/** An agent that is listed and gives no reports, so that its node's readings are missing. */
export interface UnavailableAgent {
  /** Its `host:port`. */
  readonly address: string;
  /** Its node, when the list or the agent itself has named it. */
  readonly node?: string | undefined;
  readonly sinceMs: number;
  /** What was tried and how it failed; for people. */
  readonly reason: string;
}

/** Everything known of all nodes now. */
export interface FleetView {
  /** A node whose agent is listed no more is not among them; one whose agent is unavailable still is. */
  readonly nodes: ReadonlyMap<string, FleetNode>;
  readonly unavailable: readonly UnavailableAgent[];
  /**
   * Time-weighted mean of a device metric.
   *
   * @returns `undefined` when there was no value in the window.
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
  /** Replaces the agents that are listed and give no reports. */
  readonly setUnavailable: (agents: readonly UnavailableAgent[]) => void;
  readonly view: () => FleetView;
  /** Runs `listener` after every change; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}
