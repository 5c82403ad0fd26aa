import type { DeviceSample } from "#metric/sample.ts";

/** A container that was given a device. */
export interface Holder {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** How many pods the device is divided among now; absent when it is this pod's own. */
  readonly sharedBy?: number | undefined;
}

/** What one node says of itself at one time, as `node` makes it and the stream carries it. */
export interface NodeReport {
  readonly name: string;
  readonly sampleIntervalMs: number;
  /** How old the readings were when the report arrived, by the node's own clock. */
  readonly ageMs: number;
  /**
   * How old the kubelet's word on holders was. Absent while it has never answered: then `holders`
   * are empty because nobody knows them.
   */
  readonly holdersAgeMs?: number | undefined;
  /** Of the node's driver session: another number means that indexes and counters began anew. */
  readonly session: number;
  readonly driverVersion?: string | undefined;
  readonly libraryVersion?: string | undefined;
  readonly devices: readonly (DeviceSample & { readonly holders: readonly Holder[] })[];
}
