import type { World } from "#cli/run.ts";
import type { Cancel } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { staleAfterMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import { type Sampler, startSampler } from "#device/sampler.ts";
import { spawnThread } from "#device/thread.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { podResources } from "#node/pod-resources.ts";
import { nodeReports, type ReportSource } from "#node/reports.ts";

export interface LocalNodeOptions {
  readonly name: string;
  readonly collector: CollectorOptions;
  readonly sampleIntervalMs: number;
  readonly watchdogMs: number;
  /** The kubelet's; absent on a machine without one. */
  readonly podResourcesSocket?: string | undefined;
  readonly clock: World["clock"];
  readonly log: Log;
  readonly onPass: (durationMs: number) => void;
  /** Only a new process can help. */
  readonly onDead: () => void;
}

/** This machine's devices, and who holds them. */
export interface LocalNode {
  readonly reports: ReportSource;
  readonly stats: Sampler["stats"];
  /** Empty while the newest sample is too old to be served. */
  readonly devices: () => readonly DeviceSample[];
  /** Why its devices cannot be answered for now; `undefined` when they can. */
  readonly fault: () => Fault | undefined;
  /** Runs `listener` whenever `fault` may have changed; returns the way to stop it. */
  readonly onHealth: (listener: () => void) => Cancel;
  /** Passes on the need for readings that nobody takes unasked. */
  readonly asked: (needs: readonly ReadingName[]) => void;
  readonly stop: () => Promise<void>;
}

export function localNode(options: LocalNodeOptions): LocalNode {
  const { name, sampleIntervalMs, clock, log, podResourcesSocket: socketPath } = options;
  const health = listeners();
  const kubelet = socketPath === undefined ? undefined : podResources({ socketPath, clock, log });
  const reports = nodeReports({
    name,
    sampleIntervalMs,
    clock,
    log,
    ...(kubelet === undefined ? {} : { podResources: kubelet }),
  });
  const sampler = startSampler({
    options: options.collector,
    sampleIntervalMs,
    watchdogMs: options.watchdogMs,
    clock,
    log,
    spawn: spawnThread,
    onCollection: ({ collection, takenAtMs, tookMs }) => {
      options.onPass(tookMs);
      reports.put(collection, takenAtMs);
    },
    onChange: health.notify,
    onDead: options.onDead,
  });
  const isFresh = () => sampler.state().phase === "sampling";

  return {
    reports,
    stats: sampler.stats,
    devices: () => (isFresh() ? (reports.latest()?.devices ?? []) : []),
    fault: () => {
      const { phase, fault } = sampler.state();
      if (phase === "sampling") return undefined;
      // The collector's own words say more than an age: a missing library, a driver that reloads.
      return fault ?? stalled(name, phase, staleAfterMs(sampleIntervalMs));
    },
    onHealth: health.subscribe,
    asked: (needs) => {
      if (needs.some((need) => need.startsWith("pcie"))) sampler.demand({ pcieThroughput: true });
    },
    stop: async () => {
      reports.close();
      kubelet?.close();
      await sampler.stop();
    },
  };
}

function stalled(name: string, phase: string, limitMs: number): Fault {
  return new Fault(
    "data-stale",
    `Cannot answer for the devices of ${name}: sampling is ${phase}; ` +
      "wait for the next sample, or look into this process's log",
    { limitMs },
  );
}
