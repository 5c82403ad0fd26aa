/**
 * The sampling thread, the one that makes native calls. A driver call can block for 45 s, so nothing
 * else lives here, and what it learns leaves as messages. On the main thread this file does nothing.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { assert } from "#core/assert.ts";
import { type Clock, systemClock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { autoCollector } from "./auto.ts";
import {
  type Collection,
  type Collector,
  type CollectorOptions,
  type CollectorTools,
  type Demand,
  vendorNames,
} from "./collector.ts";
import { withPowerFromEnergy } from "./energy-power.ts";
import { mockCollector } from "./mock/collector.ts";
import { faultData, type ThreadCommand, type ThreadReport } from "./thread.ts";
import { vendors } from "./vendors.ts";

if (parentPort !== null) {
  const port = parentPort;
  const post = (report: ThreadReport) => port.postMessage(report);
  const log: Log = (level, event, facts) => post({ kind: "log", level, event, facts });
  const sleep = (ms: number) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  };
  let loop: SamplingLoop | undefined;

  const onCommand = (command: ThreadCommand) => {
    switch (command.kind) {
      case "start": {
        const { options, sampleIntervalMs, demand, nowMs } = command;
        const clock = clockFrom(nowMs);
        const collector = chooseCollector(options, { clock, log, sleep });
        loop = startLoop({ collector, sampleIntervalMs, demand, clock, post });
        break;
      }
      case "demand":
        loop?.demand(command.demand);
        break;
      case "close":
        loop?.close();
        port.close();
        break;
    }
  };
  port.on("message", onCommand);
  post({ kind: "ready" });
}

/** A clock that goes on from another thread's time. On its way that time got older, never younger. */
function clockFrom(nowMs: number): Clock {
  const clock = systemClock();
  const aheadMs = nowMs - clock.monotonicMs();
  return { ...clock, monotonicMs: () => clock.monotonicMs() + aheadMs };
}

/** The collector that the options ask for. `auto` never means the mock: it would make numbers up. */
export function chooseCollector(options: CollectorOptions, tools: CollectorTools): Collector {
  return withPowerFromEnergy(collectorOf(options, tools), tools.clock);
}

function collectorOf(options: CollectorOptions, tools: CollectorTools): Collector {
  const { collector, mockFile } = options;
  if (collector === "mock") return mockCollector({ ...tools, file: mockFile });
  if (collector !== "auto") return vendors[collector].collector(options, tools);
  const all = vendorNames.map((name) => vendors[name]);
  return autoCollector(all, options, tools);
}

export interface SamplingLoopOptions {
  readonly collector: Collector;
  readonly sampleIntervalMs: number;
  /** Until another one comes. */
  readonly demand: Demand;
  readonly clock: Clock;
  readonly post: (report: ThreadReport) => void;
}
export interface SamplingLoop {
  /** Holds from the next pass on. */
  readonly demand: (demand: Demand) => void;
  /** Ends the passes and lets go of the driver. */
  readonly close: () => void;
}

/**
 * Collects now and then at every whole interval since now, whatever each pass costs: passes do not
 * drift, and a pass that takes longer than the interval leaves samples out instead of queueing them.
 * A `Fault` is reported and the next pass tries again; any other error is a bug and ends the thread.
 */
export function startLoop(options: SamplingLoopOptions): SamplingLoop {
  const { collector, sampleIntervalMs, clock, post } = options;
  assert(sampleIntervalMs > 0, `sampleIntervalMs is above 0, got ${sampleIntervalMs}`);
  const startMs = clock.monotonicMs();
  let { demand } = options;
  let tick = 0;
  let skipped = 0;
  let isClosed = false;

  const finish = (outcome: PassOutcome, takenAtMs: number) => {
    if (isClosed) return;
    const nowMs = clock.monotonicMs();
    post({ ...outcome, takenAtMs, tookMs: nowMs - takenAtMs, skipped });
    // A timer may fire a fraction early, so the next tick is never the one that just ran.
    const next = Math.max(tick + 1, Math.floor((nowMs - startMs) / sampleIntervalMs) + 1);
    skipped = next - tick - 1;
    tick = next;
    cancel = clock.after(startMs + next * sampleIntervalMs - nowMs, pass);
  };
  const pass = () => {
    const takenAtMs = clock.monotonicMs();
    const outcome = collectOnce(collector, demand);
    // A bug ends the thread, also as a promise that is rejected.
    if (outcome instanceof Promise) void outcome.then((one) => finish(one, takenAtMs));
    else finish(outcome, takenAtMs);
  };
  let cancel = clock.after(0, pass);

  return {
    demand: (next) => {
      demand = next;
    },
    close: () => {
      isClosed = true;
      cancel();
      collector.close();
    },
  };
}

type PassOutcome =
  | { readonly kind: "collection"; readonly collection: Collection }
  | { readonly kind: "fault"; readonly fault: ReturnType<typeof faultData> };

function collectOnce(collector: Collector, demand: Demand): PassOutcome | Promise<PassOutcome> {
  try {
    const collection = collector.collect(demand);
    return collection instanceof Promise
      ? collection.then(collected, refusedPass)
      : collected(collection);
  } catch (error) {
    return refusedPass(error);
  }
}

const collected = (collection: Collection): PassOutcome => ({ kind: "collection", collection });

function refusedPass(error: unknown): PassOutcome {
  if (error instanceof Fault) return { kind: "fault", fault: faultData(error) };
  throw error;
}
