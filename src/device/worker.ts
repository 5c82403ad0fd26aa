/**
 * Entry of the one thread that makes native calls. A driver call can block for 45 s, so nothing else
 * lives here, and whatever is learnt leaves as messages. On the main thread this file does nothing.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { type Clock, systemClock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import { chooseCollector } from "./choose.ts";
import { type Loop, startLoop } from "./loop.ts";
import type { Order, Report } from "./messages.ts";

if (parentPort !== null) {
  const port = parentPort;
  const post = (report: Report) => port.postMessage(report);
  const log: Log = (level, event, facts) => post({ kind: "log", level, event, facts });
  const sleep = (ms: number) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  };
  let loop: Loop | undefined;

  const obey = (order: Order) => {
    switch (order.kind) {
      case "start": {
        const { options, sampleIntervalMs, demand, nowMs } = order;
        const clock = clockFrom(nowMs);
        const collector = chooseCollector(options, { clock, log, sleep });
        loop = startLoop({ collector, sampleIntervalMs, demand, clock, post });
        break;
      }
      case "demand":
        loop?.demand(order.demand);
        break;
      case "close":
        loop?.close();
        port.close();
        break;
    }
  };
  port.on("message", obey);
  post({ kind: "ready" });
}

/** A clock that goes on from another thread's time. On its way that time got older, never younger. */
function clockFrom(nowMs: number): Clock {
  const clock = systemClock();
  const aheadMs = nowMs - clock.monotonicMs();
  return { ...clock, monotonicMs: () => clock.monotonicMs() + aheadMs };
}
