/**
 * One driver session, from init to shutdown, and the devices that it knows.
 *
 * Devices are known by UUID, because an index is a place in a list that changes. A device that was
 * known and is not listed any more is reported as lost for as long as the session lasts.
 *
 * @module
 */
import type { Log } from "#core/log.ts";
import type { Collection } from "#device/collector.ts";
import type { Answer, Api } from "./api.ts";
import type { Gpu, GpuFactory } from "./gpu.ts";
import { slowMs, type Wants } from "./gpu-readings.ts";
import type { IdentityApi } from "./identity.ts";
import { newPass, type Pass } from "./pass.ts";
import { explain, judge, libraryFailed } from "./return-code.ts";

export interface Session {
  /** @throws {Fault} `library-failed` when the session is over; it must then be closed. */
  readonly collect: (wants: Wants) => Collection;
  readonly close: () => void;
}

/** A library, bound. */
export interface Nvml {
  readonly api: Api;
  readonly identity: IdentityApi;
  readonly createGpu: GpuFactory;
  readonly driverVersion: () => Answer<string>;
  readonly libraryVersion: () => Answer<string>;
}

/**
 * Initialises NVML.
 *
 * @throws {Fault} `library-failed` with what the driver said; nothing is open then.
 */
export function openSession(nvml: Nvml, number: number, log: Log): Session {
  const { api, identity, createGpu } = nvml;
  const init = api.init();
  judge(init.symbol, init.returnCode);
  if (init.returnCode !== 0) throw libraryFailed(init.symbol, init.returnCode, false);

  const driverVersion = nvml.driverVersion().value;
  const libraryVersion = nvml.libraryVersion().value;
  const versions = {
    ...(driverVersion === undefined ? {} : { driverVersion }),
    ...(libraryVersion === undefined ? {} : { libraryVersion }),
  };
  const known = new Map<string, Gpu>();
  const unnamed = new Map<number, string>();
  let ordered: readonly Gpu[] = [];
  let lookDueMs = 0;
  log("info", "nvml session opened", { session: number, ...versions });

  /** Finds the device at one place of the list; undefined when it cannot be opened. */
  const find = (index: number): Gpu | Answer<unknown> => {
    const opened = api.handle(index);
    if (opened.value === undefined) return opened;
    const named = identity.uuid(opened.value);
    if (named.value === undefined) return named;
    const gpu = known.get(named.value) ?? createGpu(named.value, opened.value, index);
    known.set(named.value, gpu);
    gpu.present(opened.value, index);
    return gpu;
  };

  const look = (pass: Pass) => {
    const count = api.count();
    judge(count.symbol, count.returnCode);
    if (count.value === undefined) throw libraryFailed(count.symbol, count.returnCode, false);

    const seen = new Set<Gpu>();
    const refusals = new Map<number, Answer<unknown>>();
    for (let index = 0; index < count.value; index += 1) {
      const found = find(index);
      if ("returnCode" in found) refusals.set(index, found);
      else seen.add(found);
    }
    for (const [index, refusal] of refusals) {
      const gpu = [...known.values()].find((one) => !seen.has(one) && one.index() === index);
      if (gpu !== undefined) seen.add(gpu);
      heedRefusal(index, gpu, refusal, pass);
    }
    for (const gpu of known.values()) if (!seen.has(gpu)) gpu.vanished();
    ordered = [...known.values()].sort((one, other) => one.index() - other.index());
  };

  const heedRefusal = (
    index: number,
    gpu: Gpu | undefined,
    { symbol, returnCode }: Answer<unknown>,
    pass: Pass,
  ) => {
    if (judge(symbol, returnCode) === "unknown") pass.unknown ??= { symbol, returnCode };
    if (gpu === undefined) reportUnnamed(index, explain(symbol, returnCode));
    else gpu.refused(symbol, returnCode);
  };

  /** A device that never told its UUID cannot be listed: nobody could say which one it is. */
  const reportUnnamed = (index: number, reason: string) => {
    if (unnamed.get(index) === reason) return;
    unnamed.set(index, reason);
    log("warn", "gpu cannot be opened", { index, reason });
  };

  return {
    collect: (wants) => {
      const nowMs = wants.monotonicMs();
      const pass = newPass();
      if (nowMs >= lookDueMs) {
        look(pass);
        lookDueMs = nowMs + slowMs;
      }
      const devices = ordered.map((gpu) => gpu.sample(wants, pass));
      if (ordered.some((gpu) => gpu.isTroubled())) lookDueMs = nowMs;
      // One ill GPU gives this code for some of its calls; a container that lost its device nodes
      // gets it for every call on every device.
      if (pass.unknown !== undefined && pass.answered === 0)
        throw libraryFailed(pass.unknown.symbol, pass.unknown.returnCode, false);
      return { session: number, ...versions, devices };
    },
    close: () => {
      for (const gpu of known.values()) gpu.close();
      known.clear();
      api.shutdown();
    },
  };
}
