/**
 * The readings of one GPU: which calls it answers in its present mode, and their order.
 *
 * @module
 */
import type { Api, BoundCall } from "./api.ts";
import { type Draft, newDraft, refuse } from "./draft.ts";
import { deviceFields } from "./fields.ts";
import { deviceGpm, type GpmApi } from "./gpm.ts";
import { readU32 } from "./layout.ts";
import { heed, isGone, type Pass, type Patient, type Progress, take } from "./pass.ts";
import { absenceOf } from "./return-code.ts";

/** Time between readings that change seldom, and between two looks at the list of devices. */
export const slowMs = 10_000;

export interface Wants {
  /** Worth two calls of 20 ms where nothing better exists. */
  readonly pcieThroughput: boolean;
  readonly monotonicMs: () => number;
}

/** What the GPUs of a library share. */
export interface ReadingsApi {
  readonly api: Api;
  readonly gpm: GpmApi;
  readonly eccMode: (device: number) => number;
}

export interface GpuReadings {
  /** @returns False when the device is gone; the draft is then worth nothing. */
  readonly take: (
    device: number,
    wants: Wants,
    draft: Draft,
    patient: Patient,
    pass: Pass,
  ) => boolean;
  /** After a gap: no rate spans it, and nothing is carried over it. */
  readonly restart: () => void;
  /** Finds out again what the device can do, after its mode changed. */
  readonly relearn: () => void;
  readonly close: () => void;
}

export const eccModeSymbol = "nvmlDeviceGetEccMode";
const eccNames = ["eccCorrectedErrors", "eccUncorrectedErrors"] as const;
const pcieNames = ["pcieTxKilobytesPerSecond", "pcieRxKilobytesPerSecond"] as const;

/** @param powerIsAverage What this chip's `nvmlDeviceGetPowerUsage` means. */
export function gpuReadings(
  { api, gpm: gpmApi, eccMode }: ReadingsApi,
  powerIsAverage: boolean,
): GpuReadings {
  const gpm = deviceGpm(gpmApi);
  const powerCall = powerIsAverage ? api.powerAverage : api.powerInstant;
  let fields = deviceFields(api);
  let progress = new Map<BoundCall, Progress>();
  let slow = newDraft();
  let slowDueMs = 0;

  const progressOf = (call: BoundCall): Progress => {
    const known = progress.get(call);
    if (known !== undefined) return known;
    const begun = { symbol: 0, worked: false };
    progress.set(call, begun);
    return begun;
  };
  const takeAll = (
    calls: readonly BoundCall[],
    device: number,
    draft: Draft,
    patient: Patient,
    pass: Pass,
  ) => {
    for (const call of calls)
      if (!take(call, progressOf(call), device, draft, patient, pass)) return false;
    return true;
  };

  const takePower = (device: number, draft: Draft, patient: Patient, pass: Pass): boolean => {
    const isInBatch = powerCall.makes.every((name) => fields.supports(name));
    return isInBatch || take(powerCall, progressOf(powerCall), device, draft, patient, pass);
  };

  const takePcie = (
    device: number,
    isWanted: boolean,
    draft: Draft,
    patient: Patient,
    pass: Pass,
  ): boolean => {
    if (pcieNames.every((name) => draft.absences[name] !== "unsupported")) return true;
    if (isWanted) return takeAll(api.pcie, device, draft, patient, pass);
    for (const call of api.pcie)
      if (progressOf(call).symbol < call.symbols.length) refuse(draft, call.makes, "pending");
    return true;
  };

  const takeEcc = (device: number, draft: Draft, patient: Patient, pass: Pass): boolean => {
    const returnCode = eccMode(device);
    if (returnCode !== 0) {
      const verdict = heed(eccModeSymbol, returnCode, false, patient);
      refuse(draft, eccNames, absenceOf(verdict));
      return !isGone(verdict);
    }
    pass.answered += 1;
    if (readU32(api.memory.view, 0) === 1) return takeAll(api.ecc, device, draft, patient, pass);
    refuse(draft, eccNames, "unsupported");
    return true;
  };

  const takeSlow = (device: number, atMs: number, patient: Patient, pass: Pass): boolean => {
    if (atMs < slowDueMs) return true;
    slow = newDraft();
    slowDueMs = atMs + slowMs;
    return takeAll(api.slow, device, slow, patient, pass) && takeEcc(device, slow, patient, pass);
  };

  return {
    take: (device, { pcieThroughput, monotonicMs }, draft, patient, pass) => {
      const atMs = monotonicMs();
      // Illness is noted by whichever call meets it, and stands until all calls were made again.
      if (atMs >= slowDueMs) patient.health = { state: "ok" };
      const isThere =
        fields.take(device, atMs, draft, patient, pass) &&
        gpm.take(device, atMs, draft, patient, pass) &&
        takeAll(api.fast, device, draft, patient, pass) &&
        takePower(device, draft, patient, pass) &&
        takePcie(device, pcieThroughput, draft, patient, pass) &&
        takeSlow(device, atMs, patient, pass);
      Object.assign(draft.readings, slow.readings);
      Object.assign(draft.absences, slow.absences);
      return isThere;
    },
    restart: () => {
      fields.forget();
      gpm.forget();
      slow = newDraft();
      slowDueMs = 0;
    },
    relearn: () => {
      fields = deviceFields(api);
      progress = new Map();
      slowDueMs = 0;
    },
    close: gpm.close,
  };
}
