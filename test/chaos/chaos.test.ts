/**
 * Faults in any order over a whole cluster, two scalers of which are asked all the time:
 * `CHAOS_SECONDS=7200` for two hours, `CHAOS_SEED` to play the same faults again. A failure prints the
 * seed, what was done, and the answers that may not be.
 */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Random, randomStream } from "#simulate/random.ts";
import { foreignClient } from "../foreign/client.ts";
import { chaosCluster } from "./cluster.ts";
import { below, type Fault, faultDeck } from "./faults.ts";
import type { ChaosProcess } from "./process.ts";
import { type Watcher, watchCluster } from "./watch.ts";

const seconds = Number(process.env["CHAOS_SECONDS"] ?? 30);
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 1e9));
setDefaultTimeout((seconds + 120) * 1_000);

const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

const recoveryMs = 10_000;
const startMs = 30_000;
const calmMs = 1_000;
const faultMs = { least: 2_500, most: 9_000 };
const atOnceMost = 3;
const lookEveryMs = 100;

/** What a process may write at level error, by its event: each is a fault that was played. */
const namedErrors: readonly string[] = [];

test(`no fault makes a wrong number, seed ${seed}`, async () => {
  await using cluster = await chaosCluster();
  await using watcher = await watchCluster(cluster, keda);
  const figures = processFigures(cluster.processes);
  const random = randomStream(seed, "chaos");
  const draw = faultDeck(cluster, random);
  const done = diary();
  const begunMs = performance.now();
  try {
    await whole(watcher, begunMs, startMs);
    while (performance.now() - begunMs < seconds * 1_000 && watcher.wrong.length === 0) {
      watcher.setCalm(true);
      await Bun.sleep(calmMs);
      watcher.setCalm(false);
      cluster.scaleWhite();
      await playRound(draw, random, done.say);
      await whole(watcher, performance.now(), recoveryMs);
      cluster.scaledWhite();
      figures.look();
    }
    done.say(`answers: ${JSON.stringify(Object.fromEntries(watcher.counts))}`);
    done.say(`at most: ${JSON.stringify(figures.most())}`);
    expect(watcher.wrong).toEqual([]);
    expect(figures.grown()).toEqual([]);
    expect(cluster.processes.flatMap(({ deaths }) => deaths())).toEqual([]);
    expect(cluster.processes.flatMap(errorLines)).toEqual([]);
    // Every kind of answer was there, or nothing was tried.
    for (const kind of ["measured", "unavailable", "pushed"])
      expect({ kind, count: watcher.counts.get(kind) ?? 0 }).not.toEqual({ kind, count: 0 });
  } catch (error) {
    process.stderr.write(`CHAOS_SEED=${seed}\n${done.lines.join("\n")}\n`);
    process.stderr.write(`wrong answers:\n${watcher.wrong.slice(0, 40).join("\n")}\n`);
    throw error;
  }
});

/** What was done, with the seconds since the beginning. */
function diary() {
  const beginMs = performance.now();
  const lines: string[] = [];
  const prints = process.env["CHAOS_PRINT"] !== undefined;
  return {
    lines,
    say: (what: string) => {
      const line = `${((performance.now() - beginMs) / 1_000).toFixed(1)} s: ${what}`;
      lines.push(line);
      if (prints) process.stderr.write(`${line}\n`);
    },
  };
}

/** One to three faults at once, each of another part, each with an end of its own. */
async function playRound(
  draw: () => Fault,
  random: Random,
  say: (what: string) => void,
): Promise<void> {
  const faults = new Map<string, Fault>();
  for (let drawn = below(random, atOnceMost); drawn >= 0; drawn -= 1) {
    const fault = draw();
    if (!faults.has(fault.befalls)) faults.set(fault.befalls, fault);
  }
  const lasts = () => faultMs.least + random.next() * (faultMs.most - faultMs.least);
  await Promise.all(
    [...faults.values()].map(async ({ name, begin, end }) => {
      const lastsMs = lasts();
      say(`${name}, for ${(lastsMs / 1_000).toFixed(1)} s`);
      await begin();
      await Bun.sleep(lastsMs);
      await end();
      say(`over: ${name}`);
    }),
  );
}

/**
 * Waits until every scaler answers every tenant in whole. Time in which this process got no processor is
 * not counted, for the others got none either.
 */
async function whole(watcher: Watcher, sinceMs: number, withinMs: number): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    const missing = watcher.notWholeSince(sinceMs);
    if (missing.length === 0) return;
    if (waitedMs > withinMs)
      throw new Error(`not whole again within ${withinMs} ms: ${missing.join(", ")}`);
    await Bun.sleep(lookEveryMs);
  }
}

const settledMs = 20_000;
const growthMost = { rssMebibytes: 64, descriptors: 40 };

/** Compares each life of a process with itself: once it has settled, it may not grow by much. */
function processFigures(processes: readonly ChaosProcess[]) {
  const settled = new Map<string, ReturnType<ChaosProcess["figures"]>>();
  const grown = new Set<string>();
  const most = new Map<string, ReturnType<ChaosProcess["figures"]>>();
  const look = (process: ChaosProcess) => {
    if (!process.isRunning() || process.ageMs() < settledMs) return;
    const life = `${process.name}, life ${process.life()}`;
    const now = process.figures();
    const then = settled.get(life);
    if (then === undefined) settled.set(life, now);
    for (const what of ["rssMebibytes", "descriptors"] as const)
      if (now[what] - (then?.[what] ?? now[what]) > growthMost[what])
        grown.add(`${life}: ${what} from ${then?.[what]} to ${now[what]}`);
    const before = most.get(process.name) ?? now;
    most.set(process.name, {
      rssMebibytes: Math.max(before.rssMebibytes, now.rssMebibytes),
      descriptors: Math.max(before.descriptors, now.descriptors),
    });
  };
  return {
    look: () => processes.forEach(look),
    grown: () => [...grown],
    most: () => Object.fromEntries(most),
  };
}

function errorLines({ name, log }: ChaosProcess): readonly string[] {
  return log()
    .filter(({ level, event }) => level === "error" && !namedErrors.includes(event))
    .map((line) => `${name}: ${JSON.stringify(line)}`);
}
