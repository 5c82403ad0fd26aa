/**
 * What reading GPUs through NVML costs this process: `bun bench/nvml-collect.ts`.
 *
 * The C stand-in answers at once, but for a look at its control file in each call, so this is our own
 * part: calls, decoding, samples and garbage. A real driver adds some microseconds a call, and
 * milliseconds a list of processes.
 */
import { heapStats } from "bun:jsc";
import type { Clock } from "#core/clock.ts";
import { bindApi } from "#device/nvml/api.ts";
import { nvmlCollector } from "#device/nvml/collector.ts";
import { bindCalls, type DevicePass, type Source } from "#device/nvml/device-call.ts";
import { gpuEvents } from "#device/nvml/events.ts";
import { fieldsSource } from "#device/nvml/fields.ts";
import { gpmSource } from "#device/nvml/gpm.ts";
import { bindGpm, chipGpm } from "#device/nvml/gpm-api.ts";
import { bindIdentity } from "#device/nvml/identity.ts";
import { loadLibrary } from "#device/nvml/library.ts";
import { bindProcesses, processReader } from "#device/nvml/processes.ts";
import { nvmlStandin, type StandinState } from "../test/nvml-standin/control.ts";
import { migGpu } from "./mig-gpu.ts";

const log = () => undefined;
let nowMs = 0;
/** A second a pass, so that slow readings come as often as they do in service. */
const clock: Clock = {
  wallMs: () => nowMs,
  monotonicMs: () => nowMs,
  after: () => () => undefined,
  every: () => () => undefined,
};
const nvml = await nvmlStandin({ logsCalls: false });
nvml.attach();

await passes("8 GPUs", { gpus: 8 }, 20_000);
const cut = Array.from({ length: 10 }, (_none, at) => migGpu(at < 9 ? 7 : 1));
await passes("64 MIG instances of 10 GPUs", { gpus: cut }, 5_000);
calls();
nvml.remove();

async function passes(what: string, state: StandinState, count: number): Promise<void> {
  nvml.set(state);
  const collector = nvmlCollector({ libraryPaths: [nvml.libraryPath], clock, log });
  const pass = () => {
    nowMs += 1000;
    return collector.collect({ pcieThroughput: false });
  };
  for (let warming = 0; warming < count; warming += 1) pass();
  Bun.gc(true);
  const heapBefore = heapStats().heapSize;
  const tookUs: number[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const startNs = Bun.nanoseconds();
    pass();
    tookUs.push((Bun.nanoseconds() - startNs) / 1000);
  }
  Bun.gc(true);
  const ascending = tookUs.toSorted((low, high) => low - high);
  const at = (share: number) => (ascending[Math.floor(count * share)] ?? Number.NaN).toFixed(1);
  console.log(
    `collect() of ${what} over ${count} passes: p50 ${at(0.5)} us, p99 ${at(0.99)} us, ` +
      `most ${at(0.9999)} us; heap grown by ${heapStats().heapSize - heapBefore} bytes`,
  );
  collector.close();
}

/** Each source of one GPU by itself, with the calls that it makes. */
function calls(): void {
  const processes = [1, 2, 3].map((pid) => ({ pid, smPercent: 10 }));
  nvml.set({ gpus: [{ processes }] });
  const api = bindApi(loadLibrary([nvml.libraryPath]));
  api.init();
  const device = api.handle(0).value;
  if (device === undefined) throw new Error("the stand-in has a GPU");
  const bound = bindCalls(api);
  const gpm = bindGpm(api);
  const events = gpuEvents(api, bindIdentity(api), log);
  events.register("GPU-0", device);
  const named = (call: Source & { readonly makes?: readonly { readonly name: string }[] }) =>
    [(call.makes ?? []).map(({ name }) => name).join(", "), call] as const;
  const readers: readonly (readonly [string, { readonly read: (pass: DevicePass) => unknown }])[] =
    [
      ["fields: temperature of memory, energy, power, NVLink, flags", fieldsSource(api)],
      ["GPM: sample and comparison", gpmSource(gpm, chipGpm(gpm))],
      ...[...bound.fast, ...bound.slow].map((create) => named(create())),
      ["ECC: mode and both counts", bound.ecc()],
      ["events: none", { read: () => events.drain() }],
      ["processes of a shared GPU, three", processReader(bindProcesses(api))],
    ];
  for (const [what, { read }] of readers) {
    const once = () => {
      nowMs += 1000;
      return read({ device, atMs: nowMs, isNewHandle: false });
    };
    for (let warming = 0; warming < 20_000; warming += 1) once();
    const startNs = Bun.nanoseconds();
    for (let nth = 0; nth < 20_000; nth += 1) once();
    console.log(`${((Bun.nanoseconds() - startNs) / 20_000 / 1000).toFixed(2)} us  ${what}`);
  }
  events.close();
  api.shutdown();
}
