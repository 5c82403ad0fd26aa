/**
 * What one pass over eight GPUs costs this process: `bun bench/nvml-collect.ts`.
 *
 * The C stand-in answers at once, so this is our own part: calls, decoding, samples and garbage. A
 * real driver adds some microseconds a call.
 */
import { heapStats } from "bun:jsc";
import type { Clock } from "#core/clock.ts";
import { nvmlCollector } from "#device/nvml/collector.ts";
import { buildStandin } from "../test/nvml-standin/build.ts";

let nowMs = 0;
/** A second a pass, so that slow readings come as often as they do in service. */
const clock: Clock = {
  wallMs: () => nowMs,
  monotonicMs: () => nowMs,
  after: () => () => undefined,
  every: () => () => undefined,
};
const collector = nvmlCollector({
  libraryPaths: [await buildStandin("full")],
  clock,
  log: () => undefined,
});
const pass = () => {
  nowMs += 1000;
  return collector.collect({ pcieThroughput: false });
};

const passes = 20_000;
for (let warming = 0; warming < passes; warming += 1) pass();
Bun.gc(true);
const heapBefore = heapStats().heapSize;
const tookUs: number[] = [];
for (let nth = 0; nth < passes; nth += 1) {
  const startNs = Bun.nanoseconds();
  pass();
  tookUs.push((Bun.nanoseconds() - startNs) / 1000);
}
Bun.gc(true);
const ascending = tookUs.toSorted((low, high) => low - high);
const at = (share: number) => (ascending[Math.floor(passes * share)] ?? Number.NaN).toFixed(1);
process.stdout.write(
  `collect() of 8 GPUs over ${passes} passes: ` +
    `p50 ${at(0.5)} us, p99 ${at(0.99)} us, most ${at(0.9999)} us; ` +
    `heap grown by ${heapStats().heapSize - heapBefore} bytes\n`,
);
collector.close();
