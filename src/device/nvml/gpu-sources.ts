/**
 * The sources of one GPU's readings in their order, and what they give together.
 *
 * @module
 */
import { slowReadingsMs } from "#core/limits.ts";
import type { Demand } from "#device/collector.ts";
import type { Api } from "./api.ts";
import {
  type BoundCalls,
  type DevicePass,
  readAll,
  type Source,
  type SourceResult,
} from "./device-call.ts";
import { type DriverFlags, fieldsSource } from "./fields.ts";
import { gpmSource } from "./gpm.ts";
import { chipGpm, type GpmApi } from "./gpm-api.ts";
import {
  type Joined,
  join,
  joinAll,
  joinOutcomes,
  joinPending,
  newJoined,
  type SourcesResult,
} from "./join-sources.ts";

/** What the GPUs of a library share. */
export interface SourcesApi {
  readonly api: Api;
  readonly calls: BoundCalls;
  readonly gpm: GpmApi;
}

export interface GpuSources {
  /** @throws {Fault} `library-failed` when the session is over. */
  readonly read: (pass: DevicePass, demand: Demand) => SourcesResult;
  /** What the driver said of the device beside its readings. */
  readonly flags: () => DriverFlags;
  /** After a gap: no rate spans it, and nothing is carried over it. */
  readonly restart: () => void;
  /** Finds out again what the device can do, after its mode changed. */
  readonly forgetSupport: () => void;
  /** The session must still be open. */
  readonly close: () => void;
}

const pcieNames = ["pcieTxKilobytesPerSecond", "pcieRxKilobytesPerSecond"] as const;

/** @param powerIsAverage What this chip's `nvmlDeviceGetPowerUsage` means. */
export function gpuSources(
  { api, calls, gpm: gpmApi }: SourcesApi,
  powerIsAverage: boolean,
): GpuSources {
  const create = () => ({
    fields: fieldsSource(api),
    fast: calls.fast.map((call) => call()),
    power: (powerIsAverage ? calls.powerAverage : calls.powerInstant)(),
    pcie: calls.pcie.map((call) => call()),
    slow: [...calls.slow.map((call) => call()), calls.ecc()] as readonly Source[],
  });
  const gpm = gpmSource(gpmApi, chipGpm(gpmApi));
  let own = create();
  let slowResults: readonly SourceResult[] = [];
  let slowDueMs = 0;

  const isPowerInFields = () => own.power.makes.every(({ name }) => own.fields.supports(name));
  const readPcie = (joined: Joined, pass: DevicePass, { pcieThroughput }: Demand) => {
    if (pcieNames.every((name) => joined.absences[name] !== "unsupported")) return;
    if (pcieThroughput) joinAll(joined, own.pcie, pass);
    else joinPending(joined, own.pcie);
  };
  const readSlow = (joined: Joined, pass: DevicePass, isDue: boolean) => {
    if (isDue) {
      slowDueMs = pass.atMs + slowReadingsMs;
      slowResults = readAll(own.slow, pass);
      for (const result of slowResults) join(joined, result);
    } else for (const result of slowResults) joinOutcomes(joined, result);
  };

  return {
    read: (pass, demand) => {
      const joined = newJoined(pass.atMs >= slowDueMs);
      join(joined, own.fields.read(pass));
      if (!joined.isDeviceGone) join(joined, gpm.read(pass));
      joinAll(joined, own.fast, pass);
      if (!joined.isDeviceGone && !isPowerInFields()) join(joined, own.power.read(pass));
      if (!joined.isDeviceGone) readPcie(joined, pass, demand);
      if (!joined.isDeviceGone) readSlow(joined, pass, joined.isComplete);
      return joined;
    },
    flags: () => own.fields.flags(),
    restart: () => {
      own.fields.resetCounters();
      gpm.resetBaseline();
      slowResults = [];
      slowDueMs = 0;
    },
    forgetSupport: () => {
      own = create();
      slowDueMs = 0;
    },
    close: gpm.close,
  };
}
