/**
 * The figures that matter, each beside a floor that is measured in the same run: `bun run bench`.
 *
 *   bun bench/kept.ts [--quick] [--json]
 *
 * Ours and the floor alternate, and of each the best round counts: whatever else the machine does only
 * adds. What is kept is the ratio of the two, which differs far less between machines than either. Time
 * is CPU time of all threads, that of the server for a call.
 *
 * `--quick` is what `test/repository/ratios.test.ts` runs: fewer rounds and calls. Prints a table, or
 * with `--json` a list of `Figure`.
 */
import { parseArgs } from "node:util";
import { type FloorName, type Load, measureCalls } from "./kept-calls.ts";
import { allWork, type Work } from "./kept-work.ts";

export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly floor: number;
  readonly ratio: number;
  readonly floorIs: string;
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
/** A batch is long enough for the clock of CPU time, which ticks in microseconds. */
const batchMs = values.quick ? 25 : 100;
/** Compilers work beside it, on cores that others may have: this is what they need at the most. */
const warmMs = 500;
const rounds = values.quick ? 7 : 15;

const figures: Figure[] = [];
for (const work of await allWork()) figures.push(measureWork(work));
figures.push(...(await callFigures()));
if (values.json) console.log(JSON.stringify(figures));
else printTable(figures);
process.exit(0);

function measureWork({ what, floorIs, ours, floor }: Work): Figure {
  const [ourBatch, floorBatch] = [batch(ours), batch(floor)];
  let [ourMs, floorMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round += 1) {
    ourMs = Math.min(ourMs, ourBatch());
    floorMs = Math.min(floorMs, floorBatch());
  }
  return figure(what, "ms CPU", ourMs, floorMs, floorIs);
}

/** Runs once warm and as often as fills a batch; the result tells the CPU time of one run. */
function batch(run: () => void): () => number {
  let runs = 1;
  const once = () => {
    const fromMs = cpuMs();
    for (let count = 0; count < runs; count += 1) run();
    return (cpuMs() - fromMs) / runs;
  };
  for (let spentMs = 0; spentMs < warmMs; ) spentMs += once();
  runs = Math.max(1, Math.ceil(batchMs / once()));
  return once;
}

async function callFigures(): Promise<readonly Figure[]> {
  // The quick form compares with Connect alone: it is the same kind of work, so noise is in both.
  const floors: readonly FloorName[] = values.quick
    ? ["bare Connect"]
    : ["bare HTTP/2", "bare Connect"];
  const found: Figure[] = [];
  for (const callers of values.quick ? [32] : [1, 32]) {
    const calls = (values.quick ? 1_000 : 10_000) / (callers === 1 ? 5 : 1);
    const loads = await measureCalls(floors, { rounds: values.quick ? 3 : 5, calls, callers });
    for (const floorIs of floors) found.push(...figuresOf(loads, floorIs, callers));
  }
  return found;
}

function figuresOf(
  loads: Readonly<Record<string, readonly Load[]>>,
  floorIs: FloorName,
  callers: number,
): readonly Figure[] {
  const [ours = [], floor = []] = [loads["ours"], loads[floorIs]];
  const least = (name: keyof Load, all: readonly Load[]) =>
    Math.min(...all.map((load) => load[name]));
  const most = (all: readonly Load[]) => Math.max(...all.map((load) => load.callsPerSecond));
  const of = `GetMetrics, ${callers} ${callers === 1 ? "caller" : "callers"}`;
  const cpu = figure(
    `${of}: a call`,
    "ms CPU",
    least("cpuMsPerCall", ours),
    least("cpuMsPerCall", floor),
    floorIs,
  );
  if (values.quick) return [cpu];
  return [
    cpu,
    figure(`${of}: calls`, "per second", most(ours), most(floor), floorIs),
    figure(`${of}: p50`, "ms", least("p50Ms", ours), least("p50Ms", floor), floorIs),
    figure(`${of}: p99`, "ms", least("p99Ms", ours), least("p99Ms", floor), floorIs),
  ];
}

function figure(what: string, unit: string, ours: number, floor: number, floorIs: string): Figure {
  return { what, unit, ours, floor, ratio: ours / floor, floorIs };
}

function printTable(all: readonly Figure[]): void {
  console.log("| what | unit | ours | floor | ratio | the floor is |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  for (const { what, unit, ours, floor, ratio, floorIs } of all)
    console.log(
      `| ${[what, unit, short(ours), short(floor), ratio.toFixed(2), floorIs].join(" | ")} |`,
    );
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(2);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
