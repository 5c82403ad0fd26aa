import { expect, test } from "bun:test";
import { nvmlStandin } from "../nvml-standin/control.ts";

/** A process of its own, which prints the first GPU's utilization after each pass. */
const program = `
  import { systemClock } from "#core/clock.ts";
  import { nvmlCollector } from "#device/nvml/collector.ts";
  const [path] = process.argv.slice(-1);
  const collector = nvmlCollector({ libraryPaths: [path], clock: systemClock(), log: () => {} });
  for (;;) {
    const { devices } = collector.collect({ pcieThroughput: false });
    console.log(devices[0].readings.utilizationPercent);
    await Bun.sleep(1);
  }
`;

test("a running process sees what the control file says, and stops in a call that hangs", async () => {
  const nvml = await nvmlStandin();
  nvml.set({ gpus: 1, each: { utilizationPercent: 33 } });
  await using child = Bun.spawn([process.execPath, "-e", program, nvml.libraryPath], {
    cwd: `${import.meta.dir}/../..`,
    env: { ...process.env, ...nvml.env },
    stdout: "pipe",
  });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const readUntil = async (percent: string): Promise<readonly string[]> => {
    let printed = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the process ended before it read ${percent} %`);
      printed += value;
      const lines = printed.split("\n");
      if (lines.includes(percent)) return lines;
    }
  };
  await readUntil("33");
  nvml.set({ gpus: 1, each: { utilizationPercent: 44 } });
  await readUntil("44");

  // Called for the first time when its successor is refused, so its first call is the one that hangs.
  const hung = "nvmlDeviceGetMemoryInfo";
  const returnCodes = { [`${hung}_v2`]: 25 };
  nvml.set({ gpus: 1, each: { utilizationPercent: 55 }, returnCodes, hang: [hung] });
  while (!nvml.calls().has(hung)) await Bun.sleep(1);
  nvml.set({ gpus: 1, each: { utilizationPercent: 66 } });
  const lines = await readUntil("66");
  expect(lines.filter((line) => line === "55").length).toBeLessThanOrEqual(1);
  child.kill();
  await child.exited;
  nvml.remove();
});
