/**
 * One scaler under KEDA's load while everything around it comes and goes: `SOAK_SECONDS=180` for three
 * minutes. Hours, and a plot, are `bench/soak.ts`.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { quantile, rssSlope, type SoakSample, soak } from "./soak.ts";

const seconds = Number(process.env["SOAK_SECONDS"] ?? 25);
setDefaultTimeout((seconds + 90) * 1_000);

/** Memory swings by some 50 MiB between collections of garbage; the chart allows 1 GiB. */
const mebibytesMax = 384;
/** By how much the last third of the run may be above the one before it. */
const growthMost = { rssMebibytes: 64, descriptors: 16 } as const;

test(`${seconds} s under load with everything coming and going leave nothing behind`, async () => {
  const { figures, samples, errors } = await soak({ seconds, everySeconds: 10 });
  const calls = figures.reduce((sum, each) => sum + each.calls, 0);
  expect(calls / seconds).toBeGreaterThan(150);
  // A replica whose agent was killed is missing; nothing else fails.
  const failures = figures.flatMap((each) => Object.keys(each.failures));
  expect(failures.filter((failure) => failure !== "UNAVAILABLE")).toEqual([]);
  expect(figures.at(-1)?.streamsLost).toBe(0);
  expect(errors).toEqual([]);

  const third = Math.floor(samples.length / 3);
  for (const what of ["rssMebibytes", "descriptors"] as const) {
    const median = (part: readonly SoakSample[]) =>
      quantile(
        part.map((sample) => sample[what]),
        0.5,
      );
    const grown = median(samples.slice(-third)) - median(samples.slice(-2 * third, -third));
    expect({ what, grown: Math.max(0, grown - growthMost[what]) }).toEqual({ what, grown: 0 });
  }
  expect(Math.max(...samples.map(({ rssMebibytes }) => rssMebibytes))).toBeLessThan(mebibytesMax);
});

describe("rssSlope()", () => {
  const line = (rss: (at: number) => number) =>
    Array.from({ length: 100 }, (_none, at): SoakSample => {
      const [rssMebibytes, atSeconds] = [rss(at), at * 60];
      return { atSeconds, rssMebibytes, descriptors: 20, lagMs: 0 };
    });

  test.each([
    ["a line", (at: number) => 100 + at, 60],
    ["a beginning that is not counted", (at: number) => (at < 50 ? at * 10 : 500), 0],
    ["what swings about a mean", (at: number) => 100 + 10 * (at % 2), 0],
  ])("%s", (_what, rss, mebibytesPerHour) => {
    expect(Math.abs(rssSlope(line(rss)) - mebibytesPerHour)).toBeLessThan(1);
  });
});
