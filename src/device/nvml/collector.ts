/**
 * Reads NVIDIA GPUs through NVML.
 *
 * The library is initialised once and held. When the driver goes away the session is closed and
 * opened again with growing pauses; until then every pass throws what the driver last said.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import type { Collector } from "#device/collector.ts";
import { bindApi } from "./api.ts";
import { gpuFactory } from "./gpu.ts";
import { bindIdentity } from "./identity.ts";
import { loadLibrary } from "./library.ts";
import { libraryFailed, verdictOf } from "./return-code.ts";
import { type Nvml, openSession, type Session } from "./session.ts";

/** Pauses between two attempts to open a session. */
const pauseLeastMs = 1_000;
const pauseMostMs = 30_000;
/** So many in a row are no accident: a container that lost its device nodes never gets them back. */
const unknownMost = 5;

export interface NvmlCollectorOptions {
  /** Tried in order; see `nvmlLibraryPaths`. */
  readonly libraryPaths: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Nothing is loaded before the first `collect`. */
export function nvmlCollector({ libraryPaths, clock, log }: NvmlCollectorOptions): Collector {
  let nvml: Nvml | undefined;
  let session: Session | undefined;
  let sessions = 0;
  let refusal: { readonly fault: Fault; readonly untilMs: number } | undefined;
  let pauseMs = pauseLeastMs;
  let unknowns = 0;

  const open = (): Session => {
    nvml ??= bindNvml(libraryPaths, log);
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
    refusal = { fault: escalated, untilMs: clock.monotonicMs() + pauseMs };
    log("warn", "nvml unavailable", { reason: escalated.message, retryMs: pauseMs });
    pauseMs = Math.min(pauseMs * 2, pauseMostMs);
    return escalated;
  };

  const escalate = (fault: Fault): Fault => {
    if (!("returnCode" in fault.facts)) return fault;
    const { symbol, returnCode } = fault.facts;
    unknowns = verdictOf(returnCode) === "unknown" ? unknowns + 1 : 0;
    return unknowns < unknownMost ? fault : libraryFailed(symbol, returnCode, true);
  };

  return {
    name: "nvml",
    collect: ({ pcieThroughput }) => {
      if (refusal !== undefined && clock.monotonicMs() < refusal.untilMs) throw refusal.fault;
      refusal = undefined;
      try {
        session ??= open();
        const collection = session.collect({ pcieThroughput, monotonicMs: clock.monotonicMs });
        pauseMs = pauseLeastMs;
        unknowns = 0;
        return collection;
      } catch (error) {
        if (error instanceof Fault) throw fail(error);
        close();
        throw error;
      }
    },
    close,
  };
}

function bindNvml(libraryPaths: readonly string[], log: Log): Nvml {
  const library = loadLibrary(libraryPaths);
  log("info", "nvml library loaded", { path: library.path });
  const api = bindApi(library);
  const identity = bindIdentity(api);
  return {
    api,
    identity,
    createGpu: gpuFactory(api, identity, log),
    driverVersion: api.systemText("nvmlSystemGetDriverVersion"),
    libraryVersion: api.systemText("nvmlSystemGetNVMLVersion"),
  };
}
