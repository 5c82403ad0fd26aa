import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Figure } from "../../bench/kept.ts";

/**
 * Ours to the floor, by `bun bench/kept.ts --quick`, as recorded in bench/README.md under "Kept".
 *
 * One that is twice as high fails. The records are about the medians of ten runs beside ten to fifteen
 * other processes on two cores, of which the highest was 1.8 times its record; and what costs twice as
 * much as before is a mistake that nobody means. Lower them when something has become cheaper.
 */
const recorded = [
  ["one pass over 8 GPUs of the NVML stand-in", 4.3],
  ["a vLLM page of 12,170 lines parsed", 1.4],
  ["a second of 1,000 agents with 8 GPUs: read, checked, stored", 5.9],
  ["500 triggers of two replicas: parsed, a value and an activity of each", 4.3],
  ["GetMetrics, 32 callers: a call", 1.7],
] as const;
const factorMax = 2;

/** In a process of its own: the tests run with coverage, which costs our code more than the floor. */
function measure(): ReadonlyMap<string, number> {
  const program = join(import.meta.dir, "..", "..", "bench", "kept.ts");
  const ran = Bun.spawnSync([process.execPath, program, "--quick", "--json"]);
  if (ran.exitCode !== 0) throw new Error(`${program} failed: ${ran.stderr}`);
  const figures = JSON.parse(ran.stdout.toString()) as readonly Figure[];
  return new Map(figures.map(({ what, ratio }) => [what, ratio]));
}

test("nothing that is done all day costs twice of what it did, beside a floor in the same run", () => {
  const measured = measure();
  expect([...measured.keys()]).toEqual(recorded.map(([what]) => what));
  const dearer = recorded.flatMap(([what, ratio]) => {
    const now = measured.get(what) ?? Number.NaN;
    return now < factorMax * ratio ? [] : [`${what}: ${now} times the floor, it was ${ratio}`];
  });
  expect(dearer).toEqual([]);
}, 120_000);
