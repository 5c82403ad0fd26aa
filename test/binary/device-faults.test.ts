/**
 * Faults of a driver in any order, over a compiled process: `DEVICE_FAULTS_SECONDS=600` for ten minutes,
 * `DEVICE_FAULTS_SEED` to play the same faults again.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { type Random, randomStream } from "#simulate/random.ts";
import { foreignClient, type Json } from "../foreign/client.ts";
import { systemFigures } from "../hostile/siege.ts";
import { nvmlStandin, type StandinGpu, type StandinState } from "../nvml-standin/control.ts";
import { serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

const seconds = Number(process.env["DEVICE_FAULTS_SECONDS"] ?? 15);
const seed = Number(process.env["DEVICE_FAULTS_SEED"] ?? Math.floor(Math.random() * 1e9));
setDefaultTimeout((seconds + 90) * 1_000);

const highest = 92;
const utilizations = [3, 14, 15, highest, 65, 35, 89, 79];
const healthy: StandinState = {
  gpus: utilizations.map((utilizationPercent) => ({ utilizationPercent })),
};
/**
 * What says neither that the device never has a reading, which the others then answer without it, nor
 * that only a new process helps.
 */
const returnCodes = [4, 6, 7, 8, 10, 11, 14, 15, 16, 19, 20, 21, 27, 29, 999];
const symbols = [
  "nvmlDeviceGetUtilizationRates",
  "nvmlDeviceGetMemoryInfo_v2",
  "nvmlDeviceGetFieldValues",
  "nvmlDeviceGetTemperatureV",
  "nvmlDeviceGetUUID",
  "nvmlDeviceGetHandleByIndex_v2",
  "nvmlDeviceGetMigMode",
  "nvmlGpmSampleGet",
  "nvmlGpmMetricsGet",
  "nvmlEventSetWait_v2",
];

interface Values {
  readonly metricValues: readonly { readonly metricValueFloat: number }[];
}

/** One GPU with something wrong, or another cut; the highest is never cut, for a cut one has no rate. */
function illGpu(random: Random, gpu: StandinGpu): StandinGpu {
  const instances = Array.from({ length: below(random, 8) }, (_none, at) =>
    below(random, 4) === 0 ? undefined : { gpuInstance: at + 1, busyPercent: 5 },
  );
  const ills: readonly StandinGpu[] = [
    { state: pick(random, [15, 16]) },
    { listed: false },
    { returnCodes: { [pick(random, symbols)]: pick(random, returnCodes) } },
    { utilizationPercent: 300 },
    { totalBytes: 0 },
    gpu.utilizationPercent === highest ? { hasGpm: false } : { mig: 1, instances },
  ];
  return { ...gpu, ...pick(random, ills) };
}

function illState(random: Random): StandinState {
  const gpus = utilizations.map((utilizationPercent) => {
    const gpu = { utilizationPercent };
    return below(random, 5) === 0 ? illGpu(random, gpu) : gpu;
  });
  const whole: readonly StandinState[] = [
    {},
    { driver: "unloaded" },
    { handles: 1 + below(random, 9) },
    { order: "reverse" },
    { mute: [pick(random, symbols)] },
    { sleepMs: { nvmlDeviceGetUtilizationRates: 30 } },
    { returnCodes: { [pick(random, symbols)]: pick(random, returnCodes) } },
  ];
  return { gpus, ...pick(random, whole) };
}

const below = (random: Random, count: number) => Math.floor(random.next() * count);

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[below(random, items.length)];
  if (item === undefined) throw new Error("there is one to pick");
  return item;
}

test(`faults of the driver, seed ${seed}, never make a number, a leak or an end`, async () => {
  const random = randomStream(seed, "device faults");
  const nvml = await nvmlStandin({});
  nvml.set(healthy);
  await using serving = await serveBinary({
    args: [
      ...["--collector", "nvml", "--nvml-library", nvml.libraryPath],
      ...["--sample-interval", "100ms", "--device-watchdog", "10m"],
    ],
    env: nvml.env,
  });
  await using client = foreignClient();
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  const ref: Json = { name: "so", namespace: "ns", scalerMetadata: {} };
  const value = async () => {
    const asked = { scaledObjectRef: ref, metricName: "" };
    const { code, answer } = await channel.unary(
      "externalscaler.ExternalScaler",
      "GetMetrics",
      asked,
    );
    if (code !== "OK") return code;
    const { metricValues } = answer as unknown as Values;
    return metricValues[0]?.metricValueFloat;
  };
  let hasEnded = false;
  void serving.exited.then(() => {
    hasEnded = true;
  });
  await eventually(value, highest);
  const answers = new Set<unknown>();
  const untilMs = performance.now() + seconds * 1_000;
  let early: ReturnType<typeof systemFigures> | undefined;
  while (performance.now() < untilMs) {
    nvml.set(below(random, 3) === 0 ? healthy : illState(random));
    for (let asked = 0; asked < 5; asked += 1) {
      await Bun.sleep(60);
      if (hasEnded) throw new Error(`it ended: ${JSON.stringify(serving.log.slice(-20), null, 1)}`);
      answers.add(await value());
    }
    if (untilMs - performance.now() < (seconds * 2_000) / 3) early ??= systemFigures(serving.pid);
  }

  nvml.set(healthy);
  await eventually(value, highest, { withinMs: 60_000 });
  // All of it or nothing: a missing GPU may be the busiest.
  expect(answers.delete(highest)).toBe(true);
  expect(answers.size).toBeGreaterThan(0);
  expect([...answers].filter((answer) => typeof answer !== "string")).toEqual([]);
  const errors = serving.log.filter(({ level }) => level === "error");
  expect(errors).toEqual([]);
  const late = systemFigures(serving.pid);
  expect(late.rssMebibytes - Number(early?.rssMebibytes)).toBeLessThan(24);
  expect(late.descriptors - Number(early?.descriptors)).toBeLessThan(8);
  serving.kill("SIGTERM");
  expect(await serving.exited).toBe(0);
  await channel.close();
  nvml.remove();
});
