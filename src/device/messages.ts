/**
 * What the main thread and the sampling thread say to each other: plain data, for it is cloned.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { Facts, LogLevel } from "#core/log.ts";
import type { Collection, CollectorOptions, Demand } from "./collector.ts";

/** To the sampling thread. */
export type Order =
  | {
      readonly kind: "start";
      readonly options: CollectorOptions;
      readonly sampleIntervalMs: number;
      readonly demand: Demand;
      /** The main thread's monotonic clock, on which every report's times are. */
      readonly nowMs: number;
    }
  | { readonly kind: "demand"; readonly demand: Demand }
  | { readonly kind: "close" };

/** One pass over the devices. Times are the main thread's monotonic clock. */
interface Pass {
  /** When the pass began, so that no reading is older than its age says. */
  readonly takenAtMs: number;
  readonly tookMs: number;
  /** Samples left out before this one, because the pass before it took too long. */
  readonly skipped: number;
}
/** A pass that gave readings. */
export interface Taken extends Pass {
  readonly collection: Collection;
}

/** From the sampling thread. */
export type Report =
  /** The thread waits for its `start`, so that the time in it is not old when it is read. */
  | { readonly kind: "ready" }
  | ({ readonly kind: "collection" } & Taken)
  | ({ readonly kind: "fault"; readonly fault: FaultData } & Pass)
  | {
      readonly kind: "log";
      readonly level: LogLevel;
      readonly event: string;
      readonly facts: Facts | undefined;
    };

/** A `Fault` without its class, which does not survive the way between threads. */
export type FaultData = Pick<Fault, "code" | "message" | "facts">;

export function faultData({ code, message, facts }: Fault): FaultData {
  return { code, message, facts };
}

export function faultOf({ code, message, facts }: FaultData): Fault {
  return new Fault(...([code, message, facts] as ConstructorParameters<typeof Fault>));
}
