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
import { Fault } from "#core/fault.ts";
import { telemetryRepeatMs, telemetryWatchersMax, telemetryWholeMs } from "#core/limits.ts";
import type { NodeTelemetry } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import { demandedReadings } from "#telemetry/demand.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import type { ReportSource } from "./reports.ts";

/** Whether a call's connection must end, which the server knows. */
interface ConnectionDrain {
  readonly draining: () => boolean;
  readonly onDrain: (listener: () => void) => Cancel;
}

export interface NodeTelemetryOptions {
  readonly source: ReportSource;
  readonly clock: Clock;
  /** When this process started, on the wall clock: of two agents of a node the later is believed. */
  readonly startedAtMs: number;
  /** Whether a call's connection is being emptied: its stream then ends without an error. */
  readonly draining: (context: HandlerContext) => ConnectionDrain;
  /** Called again and again with the readings that a watcher demands, while it watches. */
  readonly request?: ((readings: readonly ReadingName[]) => void) | undefined;
  readonly watchersMax?: number;
  readonly wholeEveryMs?: number;
}

/** @throws {Fault} from a call: `overloaded` at `watchersMax`. */
export function nodeTelemetry({
  source,
  clock,
  startedAtMs,
  draining,
  request = () => {},
  watchersMax = telemetryWatchersMax,
  wholeEveryMs = telemetryWholeMs,
}: NodeTelemetryOptions): ServiceImpl<typeof NodeTelemetry> {
  let watchers = 0;
  return {
    async *watch(watchRequest, context) {
      if (watchers >= watchersMax)
        throw new Fault(
          "overloaded",
          `Cannot watch the node: ${watchersMax} watchers are served already; run fewer replicas`,
          { limit: watchersMax },
        );
      const connection = draining(context);
      watchers += 1;
      const { monotonicMs } = clock;
      const demanded = demandedReadings(watchRequest);
      const encode = snapshotEncoder({ startedAtMs, monotonicMs, wholeEveryMs });
      const wake = latch();
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
        }
      } finally {
        watchers -= 1;
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
