/**
 * Reads NVIDIA GPUs through NVML.
 *
 * The library is initialised once and held. When the driver goes away the session is closed and
 * opened again with growing pauses; until then every pass throws what the driver last said.
 *
 * @module
 */
import { type BackOff, backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import {
  nvmlPauseLeastMs,
  nvmlPauseMostMs,
  slowReadingsMs,
  unknownReturnsMax,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { BlockingCollector, Collection, Demand } from "#device/collector.ts";
import { unread } from "#device/unread.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { type Api, bindApi, type CallReturn } from "./api.ts";
import { deviceList } from "./device-list.ts";
import { gpuEvents } from "./events.ts";
import { type GpuFactory, gpuFactory } from "./gpu.ts";
import { bindIdentity, type IdentityApi } from "./identity.ts";
import { loadLibrary } from "./library.ts";
import { hasSucceeded, libraryFailed, returnClassOf } from "./return-code.ts";
import { type XidHistory, xidHistory, xidKind } from "./xids.ts";

export interface NvmlCollectorOptions {
  /** Tried in order; see `nvmlLibraryPaths`. */
  readonly libraryPaths: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Nothing is loaded before the first `collect`. */
export function nvmlCollector({
  libraryPaths,
  clock,
  log,
}: NvmlCollectorOptions): BlockingCollector {
  // Without jitter: the library is this process's alone.
  const pauses: BackOff = backOff({
    leastMs: nvmlPauseLeastMs,
    mostMs: nvmlPauseMostMs,
    random: () => 1,
  });
  const xids = xidHistory();
  let nvml: Nvml | undefined;
  let session: Session | undefined;
  let sessions = 0;
  let lastFailure: { readonly fault: Fault; readonly untilMs: number } | undefined;
  let unknowns = 0;
  const withMissing = missingDevices();

  const open = (): Session => {
    nvml ??= bindNvml(libraryPaths, xids, log);
    const opened = openSession(nvml, sessions + 1, log);
    sessions += 1;
    return opened;
  };

  const close = () => {
    session?.close();
    session = undefined;
  };

  /** Ends the session for a pause. */
  const fail = (fault: Fault): Fault => {
    close();
    const escalated = escalate(fault);
    const retryMs = pauses.next();
    lastFailure = { fault: escalated, untilMs: clock.monotonicMs() + retryMs };
    log("warn", "nvml unavailable", { reason: escalated.message, retryMs });
    return escalated;
  };

  const escalate = (fault: Fault): Fault => {
    if (!("returnCode" in fault.facts)) return fault;
    const { symbol, returnCode } = fault.facts;
    unknowns = returnClassOf(returnCode) === "unknown" ? unknowns + 1 : 0;
    return unknowns < unknownReturnsMax ? fault : libraryFailed(symbol, returnCode, true);
  };

  return {
    name: "nvml",
    collect: (demand) => {
      if (lastFailure !== undefined && clock.monotonicMs() < lastFailure.untilMs)
        throw lastFailure.fault;
      lastFailure = undefined;
      try {
        session ??= open();
        const collection = session.collect(demand, clock);
        pauses.reset();
        unknowns = 0;
        return { ...collection, devices: withMissing(collection.devices) };
      } catch (error) {
        if (error instanceof Fault) throw fail(error);
        close();
        throw error;
      }
    },
    close,
  };
}

/**
 * Adds the GPUs of earlier sessions that this one does not list, as lost: a driver that was loaded anew
 * may find one no more, whose pods have not gone with it.
 */
function missingDevices(): (devices: readonly DeviceSample[]) => readonly DeviceSample[] {
  const known = new Map<string, DeviceSample>();
  const reason =
    "the driver does not list it since it was loaded anew; look for Xid lines in dmesg, or restart " +
    "this process where the GPU was taken out";
  return (devices) => {
    for (const device of devices)
      if (device.parentUuid === undefined) known.set(device.uuid, device);
    const listed = new Set(devices.map(({ uuid }) => uuid));
    const missing = [...known.values()].filter(({ uuid }) => !listed.has(uuid));
    return missing.length === 0
      ? devices
      : [...devices, ...missing.map((device) => unread(device, { state: "lost", reason }))];
  };
}

/** A library, bound. */
interface Nvml {
  readonly api: Api;
  readonly identity: IdentityApi;
  readonly createGpu: GpuFactory;
  readonly xids: XidHistory;
  readonly driverVersion: () => CallReturn<string>;
  readonly libraryVersion: () => CallReturn<string>;
}

function bindNvml(libraryPaths: readonly string[], xids: XidHistory, log: Log): Nvml {
  const library = loadLibrary(libraryPaths);
  log("info", "nvml library loaded", { path: library.path });
  const api = bindApi(library);
  const identity = bindIdentity(api);
  return {
    api,
    identity,
    createGpu: gpuFactory(api, identity, xids, log),
    xids,
    driverVersion: api.systemText("nvmlSystemGetDriverVersion"),
    libraryVersion: api.systemText("nvmlSystemGetNVMLVersion"),
  };
}

/** One driver session, from init to shutdown. */
interface Session {
  /** @throws {Fault} `library-failed` when the session is over; it must then be closed. */
  readonly collect: (demand: Demand, clock: Clock) => Collection;
  readonly close: () => void;
}

/**
 * Initialises NVML.
 *
 * @throws {Fault} `library-failed` with what the driver said; nothing is open then.
 */
function openSession(
  { api, identity, createGpu, xids, ...versions }: Nvml,
  session: number,
  log: Log,
): Session {
  const init = api.init();
  if (!hasSucceeded(init.symbol, init.returnCode))
    throw libraryFailed(init.symbol, init.returnCode, false);
  const driverVersion = versions.driverVersion().value;
  const libraryVersion = versions.libraryVersion().value;
  const events = gpuEvents(api, identity, log);
  const list = deviceList({ api, identity, createGpu, onOpened: events.register, log });
  let listDueMs = 0;
  log("info", "nvml session opened", { session, driverVersion, libraryVersion });

  return {
    collect: (demand, clock) => {
      const nowMs = clock.monotonicMs();
      for (const event of events.drain()) {
        // A GPU was cut anew, or made whole.
        if (event.kind === "mig-changed") listDueMs = nowMs;
        else {
          xids.note(event, nowMs);
          const { uuid, xid, gpuInstance } = event;
          log("warn", "gpu xid", { uuid, xid, kind: xidKind(xid), gpuInstance });
        }
      }
      const isListDue = nowMs >= listDueMs;
      const refusals = isListDue ? list.refresh() : [];
      if (isListDue) listDueMs = nowMs + slowReadingsMs;
      const results = list.gpus().map((gpu) => gpu.read(demand, clock.monotonicMs()));
      if (results.some(({ isListDoubtful }) => isListDoubtful)) listDueMs = nowMs;
      // One ill GPU gives this code for some of its calls; a container that lost its device nodes
      // gets it for every call on every device.
      const unknown =
        refusals.find(({ class: refused }) => refused === "unknown") ??
        results.find((result) => result.unknown !== undefined)?.unknown;
      if (unknown !== undefined && results.every(({ answered }) => answered === 0))
        throw libraryFailed(unknown.symbol, unknown.returnCode, false);
      const devices = results.flatMap(({ samples }) => samples);
      return { session, driverVersion, libraryVersion, devices };
    },
    close: () => {
      events.close();
      list.close();
      api.shutdown();
    },
  };
}
