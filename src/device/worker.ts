/**
 * Entry of the one thread that makes native calls. A driver call can block for 45 s, so nothing else
 * lives here, and whatever is learnt leaves as messages. On the main thread this file does nothing.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { systemClock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import { chooseCollector } from "./choose.ts";
import { type Loop, startLoop } from "./loop.ts";
import type { Order, Report } from "./messages.ts";

if (parentPort !== null) {
  const port = parentPort;
  const clock = systemClock();
  const post = (report: Report) => port.postMessage(report);
  const log: Log = (level, event, facts) => post({ kind: "log", level, event, facts });
  const sleep = (ms: number) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  };
  let loop: Loop | undefined;

  const obey = (order: Order) => {
    switch (order.kind) {
      case "start": {
        const collector = chooseCollector(order.options, { clock, log, sleep });
        loop = startLoop({ collector, sampleIntervalMs: order.sampleIntervalMs, clock, post });
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
}
