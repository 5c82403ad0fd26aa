/**
 * The node that this process runs on: its devices, read by a thread of their own, and the pods that
 * hold them.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { staleAfterMs } from "#core/limits.ts";
import { type Sampler, startSampler } from "#device/sampler.ts";
import { spawnThread } from "#device/thread.ts";
import { energyMeter } from "#metric/energy.ts";
import { costlyReadings, type ReadingName } from "#metric/reading.ts";
import { podResources } from "#node/pod-resources.ts";
import { processOwners } from "#node/process-owners.ts";
import { nodeReports, type ReportSource } from "#node/reports.ts";
import type { NodeStats } from "#observe/node-metrics.ts";
import type { NodeOptions } from "./options.ts";
import { podEnergyMeter } from "./pod-energy.ts";
import type { RoleContext } from "./role.ts";

export interface LocalNode {
  readonly reports: ReportSource;
  readonly stats: NodeStats;
  /** Why its devices cannot be answered for now; `undefined` when they can. */
  readonly fault: () => Fault | undefined;
  /** Has these readings taken for a while, also where they are costly. */
  readonly request: (readings: readonly ReadingName[]) => void;
  readonly stop: () => Promise<void>;
}

/** Without `podResourcesSocket` no device has a holder. */
export function localNode(options: NodeOptions, context: RoleContext): LocalNode {
  const { nodeName, sampleIntervalMs, podResourcesSocket: socketPath, procRoot } = options;
  const { clock, log, changes, onCollection, onDead } = context;
  const kubelet = socketPath === undefined ? undefined : podResources({ socketPath, clock, log });
  const reports = nodeReports({
    name: nodeName,
    sampleIntervalMs,
    clock,
    log,
    podResources: kubelet,
    ownerOf: procRoot === undefined ? undefined : processOwners(procRoot),
  });
  const energy = energyMeter(staleAfterMs(sampleIntervalMs));
  const podEnergy = podEnergyMeter(clock);
  const stopMetering = reports.subscribe(() => {
    const report = reports.latest();
    if (report !== undefined) podEnergy.put(report);
  });
  const sampler = startSampler({
    options: options.collector,
    sampleIntervalMs,
    watchdogMs: options.deviceWatchdogMs,
    clock,
    log,
    spawn: spawnThread,
    onCollection: ({ collection, takenAtMs, tookMs }) => {
      onCollection(tookMs);
      energy.put(collection.devices, takenAtMs);
      reports.put(collection, takenAtMs);
    },
    onChange: changes.notify,
    onDead,
  });
  if (procRoot !== undefined)
    reports.subscribe(() => sampler.tellProcesses(reports.sharedDevices()));
  const isFresh = () => sampler.state().phase === "sampling";

  return {
    reports,
    stats: {
      devices: () => (isFresh() ? (reports.latest()?.devices ?? []) : []),
      energyJoules: energy.joules,
      podEnergy: podEnergy.totals,
      sampling: sampler.stats,
    },
    fault: () => faultOf(sampler.state(), options),
    request: (readings) => {
      if (readings.some((reading) => costlyReadings.has(reading)))
        sampler.demand({ pcieThroughput: true });
    },
    stop: async () => {
      stopMetering();
      reports.close();
      kubelet?.close();
      await sampler.stop();
    },
  };
}

function faultOf(
  { phase, fault }: ReturnType<Sampler["state"]>,
  { nodeName, sampleIntervalMs }: NodeOptions,
): Fault | undefined {
  if (phase === "sampling") return undefined;
  // The collector's own message says more than an age: a missing library, a driver that reloads.
  if (fault !== undefined) return fault;
  const message =
    `Cannot answer for the devices of ${nodeName}: sampling is ${phase}; ` +
    "wait for the next sample, or look into this process's log";
  return new Fault("data-stale", message, { limitMs: staleAfterMs(sampleIntervalMs) });
}
