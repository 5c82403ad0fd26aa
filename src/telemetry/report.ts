/**
 * What a node reports of itself: made by its agent, carried by the NodeTelemetry stream.
 *
 * @module
 */
import type { UseShares } from "#metric/device-use.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { DeviceSince } from "#metric/since.ts";

/** A container that was given a device. */
export interface Holder {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** How many pods the device is divided among now; absent when it is this pod's own. */
  readonly sharedBy?: number | undefined;
}

/** A device of a node, and the containers that hold it. */
export interface ReportedDevice extends DeviceSample {
  readonly holders: readonly Holder[];
  /** Whose use of it is whose; absent where nobody looks, or it is not shared. */
  readonly uses?: UseShares | undefined;
}

/** One node at one time. */
export interface NodeReport {
  readonly name: string;
  readonly sampleIntervalMs: number;
  /** How old the readings were when the report arrived, by the node's own clock. */
  readonly ageMs: number;
  /**
   * How old the kubelet's list of holders was. Absent while it has never answered: then `holders`
   * are empty because nobody knows them.
   */
  readonly holdersAgeMs?: number | undefined;
  /** The node's driver session: with another number, indexes and counters started again. */
  readonly session: number;
  readonly driverVersion?: string | undefined;
  readonly libraryVersion?: string | undefined;
  readonly devices: readonly ReportedDevice[];
  /**
   * For how long, in ms, each device has lacked what it lacks, by its uuid. Absent where the report only
   * says what changed: whoever knows the report before knows these too.
   */
  readonly lackingAges?: ReadonlyMap<string, DeviceSince> | undefined;
}

/** A node as one of its agents reports it. */
export interface AgentReport {
  readonly report: NodeReport;
  /** When that agent started, on its node's wall clock. */
  readonly startedAtMs: number;
}
