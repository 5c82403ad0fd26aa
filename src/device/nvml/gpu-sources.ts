/**
 * The sources of one GPU's readings in their order, and what they give together.
 *
 * @module
 */
import { slowReadingsMs } from "#core/limits.ts";
import type { Demand } from "#device/collector.ts";
import { type Absence, isWithin, type ReadingName } from "#metric/reading.ts";
import type { Api } from "./api.ts";
import {
  type BoundCalls,
  type DeviceCall,
  type DevicePass,
  type MadeReading,
  readAll,
  type Source,
  type SourceResult,
} from "./device-call.ts";
import { fieldsSource } from "./fields.ts";
import { type GpmApi, gpmSource } from "./gpm.ts";
import { isGone, type Refusal } from "./return-code.ts";

/** What the GPUs of a library share. */
export interface SourcesApi {
  readonly api: Api;
  readonly calls: BoundCalls;
  readonly gpm: GpmApi;
}

export interface SourcesResult {
  readonly readings: { readonly [Name in ReadingName]?: number };
  readonly absences: { readonly [Name in ReadingName]?: Absence };
  /** Calls that succeeded. */
  readonly answered: number;
  readonly refusals: readonly Refusal[];
  /** No more calls were made then, and the readings are worth nothing. */
  readonly isDeviceGone: boolean;
  /** Every call was due, those too that are made seldom. */
  readonly isComplete: boolean;
}

export interface GpuSources {
  /** @throws {Fault} `library-failed` when the session is over. */
  readonly read: (pass: DevicePass, demand: Demand) => SourcesResult;
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
  const gpm = gpmSource(gpmApi);
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
      const joined: Joined = {
        readings: {},
        absences: {},
        answered: 0,
        refusals: [],
        isDeviceGone: false,
        hasAbsences: false,
        isComplete: pass.atMs >= slowDueMs,
      };
      join(joined, own.fields.read(pass));
      if (!joined.isDeviceGone) join(joined, gpm.read(pass));
      joinAll(joined, own.fast, pass);
      if (!joined.isDeviceGone && !isPowerInFields()) join(joined, own.power.read(pass));
      if (!joined.isDeviceGone) readPcie(joined, pass, demand);
      if (!joined.isDeviceGone) readSlow(joined, pass, joined.isComplete);
      return joined;
    },
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

/** The result of all sources in the making. */
interface Joined extends SourcesResult {
  readonly readings: { [Name in ReadingName]?: number };
  readonly absences: { [Name in ReadingName]?: Absence };
  answered: number;
  readonly refusals: Refusal[];
  isDeviceGone: boolean;
  /** So that a device that has everything costs no look-ups. */
  hasAbsences: boolean;
}

/** Adds what one more source gave. */
function join(joined: Joined, result: SourceResult): void {
  joinOutcomes(joined, result);
  joined.answered += result.answered;
  if (result.refusals.length === 0) return;
  joined.refusals.push(...result.refusals);
  joined.isDeviceGone = result.refusals.some(isGone);
}

function joinAll(joined: Joined, calls: readonly DeviceCall[], pass: DevicePass): void {
  for (const call of calls) if (!joined.isDeviceGone) join(joined, call.read(pass));
}

/** What is not read now, and could be. */
function joinPending(joined: Joined, calls: readonly DeviceCall[]): void {
  for (const { makes, isSupported } of calls)
    if (isSupported()) for (const made of makes) put(joined, made, "pending");
}

function joinOutcomes(joined: Joined, { makes, outcomes }: SourceResult): void {
  for (let at = 0; at < outcomes.length; at += 1) {
    const made = makes[at];
    const outcome = outcomes[at];
    if (made !== undefined && outcome !== undefined) put(joined, made, outcome);
  }
}

/**
 * The only way into a sample. A value that cannot be true becomes an absence, and an absence gives
 * way to the reading of another source.
 */
function put(joined: Joined, made: MadeReading, outcome: number | Absence): void {
  const { readings, absences } = joined;
  const { name } = made;
  if (typeof outcome === "number" && isWithin(made, outcome)) {
    readings[name] = outcome;
    if (joined.hasAbsences && absences[name] !== undefined) delete absences[name];
  } else if (readings[name] === undefined) {
    absences[name] = typeof outcome === "number" ? "implausible" : outcome;
    joined.hasAbsences = true;
  }
}
