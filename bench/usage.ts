/**
 * What it costs to remember how workloads were used, and to advise on them: 2,000 ScaledObjects of two
 * replicas with a device and an engine each, in the rounds of a scaler.
 *
 *   bun bench/usage.ts [OBJECTS] [MINUTES]
 *
 * Prints the time of a whole minute's samples, that of the advice for all objects, and the bytes. Time is
 * CPU time of the process; everything is in memory, as it is in a scaler.
 */
import { heapStats } from "bun:jsc";
import { lookUpWorkload } from "../src/answer/query.ts";
import { usageReading } from "../src/answer/usage.ts";
import type { EngineReading } from "../src/engine/scrape/reading.ts";
import { adviceFor } from "../src/observe/advice/advice.ts";
import { usageBytes, usageStore } from "../src/observe/advice/usage-store.ts";
import { parseTrigger } from "../src/trigger/trigger.ts";
import { held, host, pod, workload } from "../test/answer/cluster.ts";
import { unusedEngines } from "../test/answer/engines.ts";
import { nowMs, storeOf } from "../test/answer/fleet.ts";
import { manualClock } from "../test/support/manual-clock.ts";

const objects = Number(process.argv[2] ?? 2_000);
const minutes = Number(process.argv[3] ?? 360);
const replicas = 2;
const minuteMs = 60_000;

const metadata = { profile: "llm-concurrency" };
const trigger = parseTrigger(metadata);
const readings = {
  utilizationPercent: 97,
  memoryUsedBytes: 73e9,
  memoryTotalBytes: 80e9,
  powerInstantMilliwatts: 500_000,
};
const states = Array.from({ length: objects }, (_, at) => {
  const names = Array.from({ length: replicas }, (__, replica) => `llm-${at}-${replica}`);
  const ref = { namespace: `team-${at % 100}`, name: `llm-${at}`, scalerMetadata: metadata };
  const node = host(
    `node-${at}`,
    names.map((name) => {
      const device = held(name, 97, { uuid: `GPU-${name}`, readings });
      const holders = device.holders.map((one) => ({ ...one, namespace: ref.namespace }));
      return { ...device, holders };
    }),
  );
  const pods = names.map((name) =>
    pod(name, { namespace: ref.namespace, node: node.name, ip: "10.0.0.1" }),
  );
  return { ref, node, workload: workload({ pods }) };
});
const view = storeOf(states.map(({ node }) => node)).view();
const byName = new Map(states.map((state) => [state.ref.name, state.workload]));
const workloads = { of: (_namespace: string, name: string) => byName.get(name) ?? workload({}) };
const engines = {
  ...unusedEngines,
  peek: (): readonly EngineReading[] =>
    [0, 20, 40].map((value) => ({
      target: "",
      engine: "vllm",
      ageMs: 1_000,
      state: "known",
      value,
    })),
};

const clock = manualClock();
const heapBefore = heapBytes();
const store = usageStore(clock);
let sampledMs = 0;
for (let minute = 0; minute < minutes; minute += 1) {
  const startedMs = cpuMs();
  for (const { ref } of states) {
    if (!store.isDue(ref)) throw new Error("A minute is due");
    const one = { ref, trigger };
    const found = lookUpWorkload(one, workloads);
    const sample = usageReading(one, found, { view, engines, nowMs });
    store.record(ref, { ...sample, desiredReplicas: 2 + ((minute >> 3) % 3) });
  }
  sampledMs += cpuMs() - startedMs;
  clock.advance(minuteMs);
}
const heapAfter = heapBytes();

const status = { trigger, warnings: [], refusals: new Map(), points: [], changes: [] };
const advise = () =>
  states.map(({ ref }) => {
    const history = store.of(ref);
    return history && adviceFor(history, [{ ref, ...status }]);
  });
advise();
const startedMs = cpuMs();
const advice = advise();
const advisedMs = cpuMs() - startedMs;

console.log(
  JSON.stringify({
    objects,
    minutes,
    kept: advice.filter((one) => one !== undefined).length,
    samplesMsPerMinute: round(sampledMs / minutes),
    microsecondsPerSample: round((1_000 * sampledMs) / minutes / objects),
    percentOfACore: round((100 * sampledMs) / minutes / minuteMs),
    bytesPerObject: usageBytes,
    heapMebibytes: round((heapAfter - heapBefore) / 2 ** 20),
    adviceOfAllMs: round(advisedMs),
    adviceOfOneMs: round(advisedMs / objects),
  }),
);

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function heapBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}

function round(value: number): number {
  return Math.round(100 * value) / 100;
}
