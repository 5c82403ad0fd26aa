/**
 * NodeTelemetry: the node's newest report to whoever watches.
 *
 * Nothing queues: a watcher that reads slowly gets the newest state when it is ready for it, made
 * against what was last sent to that watcher.
 *
 * @module
 */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Cancel, Clock } from "#core/clock.ts";
import type { Fault } from "#core/fault.ts";
import { telemetryRepeatMs, telemetryWholeMs } from "#core/limits.ts";
import type { NodeTelemetry } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import { demandedReadings } from "#telemetry/demand.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import type { ReportSource } from "./reports.ts";
import { nodeWatchers, type WatcherLimits } from "./watchers.ts";

/** What the server knows of a call's connection. */
interface WatcherConnection {
  /** Who is at its other end; connections of one client have the same. */
  readonly peer: string;
  /** Whether it is being emptied: its streams then end without an error. */
  readonly draining: () => boolean;
  readonly onDrain: (listener: () => void) => Cancel;
}

export interface NodeTelemetryOptions extends WatcherLimits {
  readonly source: ReportSource;
  readonly clock: Clock;
  /** When this process started, on the wall clock: of two agents of a node the later is believed. */
  readonly startedAtMs: number;
  readonly connectionOf: (context: HandlerContext) => WatcherConnection;
  /** Called again and again with the readings that a watcher demands, while it watches. */
  readonly request?: ((readings: readonly ReadingName[]) => void) | undefined;
  readonly wholeEveryMs?: number;
}

/** @throws {Fault} from a call: `overloaded` where there is no place, or not any more. */
export function nodeTelemetry({
  source,
  clock,
  startedAtMs,
  connectionOf,
  request = () => {},
  wholeEveryMs = telemetryWholeMs,
  ...limits
}: NodeTelemetryOptions): ServiceImpl<typeof NodeTelemetry> {
  const watchers = nodeWatchers(limits);
  return {
    async *watch(watchRequest, context) {
      const connection = connectionOf(context);
      const wake = latch();
      let displaced: Fault | undefined;
      const leave = watchers.enter(connection.peer, (fault) => {
        displaced = fault;
        wake.set();
      });
      const { monotonicMs } = clock;
      const demanded = demandedReadings(watchRequest);
      const encode = snapshotEncoder({ startedAtMs, monotonicMs, wholeEveryMs });
      const stopListening = source.subscribe(wake.set);
      let cancelRepeat: Cancel = () => {};
      const stopDrain = connection.onDrain(wake.set);
      const { signal } = context;
      signal.addEventListener("abort", wake.set);
      try {
        while (!connection.draining() && !signal.aborted) {
          if (demanded.length > 0) request(demanded);
          const report = source.latest();
          yield report === undefined ? {} : encode(report);
          cancelRepeat = clock.after(telemetryRepeatMs, wake.set);
          await wake.wait();
          cancelRepeat();
          if (displaced !== undefined) throw displaced;
        }
      } finally {
        leave();
        stopListening();
        cancelRepeat();
        stopDrain();
        signal.removeEventListener("abort", wake.set);
      }
    },
  };
}

/** Waits for `set`, however often it was called since the last wait. */
function latch() {
  let isSet = false;
  let release: (() => void) | undefined;
  return {
    set: () => {
      isSet = true;
      release?.();
    },
    wait: async () => {
      if (!isSet)
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      isSet = false;
      release = undefined;
    },
  };
}
