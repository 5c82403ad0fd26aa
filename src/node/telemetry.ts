/**
 * NodeTelemetry: the node's newest report to whoever watches.
 *
 * Nothing queues: a watcher that reads slowly gets the newest state when it is ready for it, made
 * against what was last sent to that watcher.
 *
 * @module
 */
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { telemetryWatchersMax } from "#core/limits.ts";
import { snapshotEncoder } from "#fleet/wire-encode.ts";
import { NodeTelemetry } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReportSource } from "./reports.ts";

export interface NodeTelemetryOptions {
  readonly source: ReportSource;
  readonly clock: Clock;
  /** When this process began, on the wall clock: of two agents of a node the later is believed. */
  readonly startedAtMs: number;
  /** Once aborted, streams end cleanly and new ones are refused. */
  readonly draining: AbortSignal;
  readonly watchersMax?: number;
  readonly wholeEveryMs?: number;
}

/** A whole snapshot in this time mends whatever a defect in the changes could have broken. */
const wholeEveryMsDefault = 30_000;
/** Repeated although nothing new was read, so that a stuck driver is told from a dead agent. */
const aliveEveryMs = 5_000;

/** Mounts the service on a gRPC server. */
export function nodeTelemetryRoutes(
  options: NodeTelemetryOptions,
): (router: ConnectRouter) => void {
  const service = nodeTelemetry(options);
  return (router) => {
    router.service(NodeTelemetry, service);
  };
}

/** @throws {Fault} from a call: `stopping` while draining, `overloaded` at `watchersMax`. */
export function nodeTelemetry({
  source,
  clock,
  startedAtMs,
  draining,
  watchersMax = telemetryWatchersMax,
  wholeEveryMs = wholeEveryMsDefault,
}: NodeTelemetryOptions): ServiceImpl<typeof NodeTelemetry> {
  let watchers = 0;
  return {
    async *watch(_request, { signal }) {
      if (draining.aborted)
        throw new Fault(
          "stopping",
          "Cannot watch the node: its agent is stopping; connect again",
          {},
        );
      if (watchers >= watchersMax)
        throw new Fault(
          "overloaded",
          `Cannot watch the node: ${watchersMax} watchers are served already; run fewer replicas`,
          { limit: watchersMax },
        );
      watchers += 1;
      const { monotonicMs } = clock;
      const encode = snapshotEncoder({ startedAtMs, monotonicMs, wholeEveryMs });
      const wake = latch();
      const stopListening = source.subscribe(wake.set);
      let cancelRepeat: Cancel = () => {};
      const ended = AbortSignal.any([draining, signal]);
      ended.addEventListener("abort", wake.set);
      try {
        while (!ended.aborted) {
          const report = source.latest();
          yield report === undefined ? {} : encode(report);
          cancelRepeat = clock.after(aliveEveryMs, wake.set);
          await wake.wait();
          cancelRepeat();
        }
      } finally {
        watchers -= 1;
        stopListening();
        cancelRepeat();
        ended.removeEventListener("abort", wake.set);
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
