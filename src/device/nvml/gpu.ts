/**
 * One GPU of a session: what it can do, how it is, and its next sample.
 *
 * @module
 */
import type { Log } from "#core/log.ts";
import { type Absences, readingNames } from "#metric/reading.ts";
import type { DeviceHealth, DeviceIdentity, DeviceSample } from "#metric/sample.ts";
import type { Api, BoundCall } from "./api.ts";
import { type Draft, newDraft, refuse } from "./draft.ts";
import { deviceFields } from "./fields.ts";
import { bindGpm, deviceGpm } from "./gpm.ts";
import type { IdentityApi } from "./identity.ts";
import { readU32 } from "./layout.ts";
import { heed, isGone, type Pass, type Patient, type Progress, take } from "./pass.ts";
import { absenceOf, explain, verdictOf } from "./return-code.ts";

/** Time between readings that change seldom, and between two looks at the list of devices. */
export const slowMs = 10_000;

export interface Gpu {
  readonly uuid: string;
  readonly index: () => number;
  /** The list of devices has it, with this handle. */
  readonly present: (handle: number, index: number, pass: Pass) => void;
  /** The list has something in its place that cannot be opened. */
  readonly refused: (symbol: string, returnCode: number) => void;
  /** The list does not have it any more. */
  readonly vanished: () => void;
  /** @throws {Fault} `library-failed` when the session ends here. */
  readonly sample: (wants: Wants, pass: Pass) => DeviceSample;
  /** Whether the last sample was such that the list of devices is worth another look. */
  readonly isTroubled: () => boolean;
  /** Lets go of what it holds in the driver; the session must still be open. */
  readonly close: () => void;
}

export interface Wants {
  /** Worth two calls of 20 ms where nothing better exists. */
  readonly pcieThroughput: boolean;
  readonly monotonicMs: () => number;
}

export type GpuFactory = (uuid: string, handle: number, index: number) => Gpu;

const ok: DeviceHealth = { state: "ok" };
const nothing: Absences = Object.freeze(
  Object.fromEntries(readingNames.map((name) => [name, "failed"])),
);
const eccNames = ["eccCorrectedErrors", "eccUncorrectedErrors"] as const;
const pcieNames = ["pcieTxKilobytesPerSecond", "pcieRxKilobytesPerSecond"] as const;

/** Binds once what all GPUs share. */
export function gpuFactory(api: Api, identity: IdentityApi, log: Log): GpuFactory {
  const gpmApi = bindGpm(api);
  const eccModeSymbol = "nvmlDeviceGetEccMode";
  const eccMode = api.query(eccModeSymbol, 2);
  const migModeSymbol = "nvmlDeviceGetMigMode";
  const migMode = api.query(migModeSymbol, 2);

  /** What has been learned about a device in its present mode. */
  const capabilities = () => {
    const progress = new Map<BoundCall, Progress>();
    return {
      fields: deviceFields(api),
      of: (call: BoundCall): Progress => {
        const known = progress.get(call) ?? { symbol: 0, worked: false };
        progress.set(call, known);
        return known;
      },
    };
  };

  return (uuid, firstHandle, firstIndex) => {
    const { powerIsAverage, ...description } = identity.describe(firstHandle);
    const gpm = deviceGpm(gpmApi);
    const patient: Patient = { health: ok, stale: false, fresh: true };
    let about: DeviceIdentity = { uuid, index: firstIndex, ...description };
    let handle: number | undefined = firstHandle;
    let able = capabilities();
    let isMig: boolean | undefined;
    let reported: DeviceHealth["state"] = "ok";
    let isPermissionReported = false;
    let isTroubled = false;
    let slow = newDraft();
    let slowDueMs = 0;

    const takeAll = (calls: readonly BoundCall[], device: number, draft: Draft, pass: Pass) => {
      for (const call of calls)
        if (!take(call, able.of(call), device, draft, patient, pass)) return false;
      return true;
    };

    const takePower = (device: number, draft: Draft, pass: Pass): boolean => {
      const call = powerIsAverage ? api.powerAverage : api.powerInstant;
      const isInBatch = call.makes.every((name) => able.fields.supports(name));
      return isInBatch || takeAll([call], device, draft, pass);
    };

    const takePcie = (device: number, wanted: boolean, draft: Draft, pass: Pass): boolean => {
      if (pcieNames.every((name) => draft.absences[name] !== "unsupported")) return true;
      if (wanted) return takeAll(api.pcie, device, draft, pass);
      for (const call of api.pcie)
        if (able.of(call).symbol < call.symbols.length) refuse(draft, call.makes, "pending");
      return true;
    };

    const takeEcc = (device: number, draft: Draft, pass: Pass): boolean => {
      const returnCode = eccMode(device);
      if (returnCode !== 0) {
        const verdict = heed(eccModeSymbol, returnCode, false, patient, pass);
        refuse(draft, eccNames, absenceOf(verdict));
        return !isGone(verdict);
      }
      pass.answered += 1;
      if (readU32(api.memory.view, 0) === 1) return takeAll(api.ecc, device, draft, pass);
      refuse(draft, eccNames, "unsupported");
      return true;
    };

    const takeSlow = (device: number, atMs: number, pass: Pass): boolean => {
      if (atMs < slowDueMs) return true;
      slow = newDraft();
      slowDueMs = atMs + slowMs;
      return takeAll(api.slow, device, slow, pass) && takeEcc(device, slow, pass);
    };

    const takeSample = (device: number, wants: Wants, draft: Draft, pass: Pass): boolean => {
      const atMs = wants.monotonicMs();
      // Illness is noted by whichever call meets it, and stands until all calls were made again.
      if (atMs >= slowDueMs) patient.health = ok;
      const isThere =
        able.fields.take(device, atMs, draft, patient, pass) &&
        gpm.take(device, atMs, draft, patient, pass) &&
        takeAll(api.fast, device, draft, pass) &&
        takePower(device, draft, pass) &&
        takePcie(device, wants.pcieThroughput, draft, pass) &&
        takeSlow(device, atMs, pass);
      Object.assign(draft.readings, slow.readings);
      Object.assign(draft.absences, slow.absences);
      return isThere;
    };

    const isLost = () =>
      patient.health.state === "lost" || patient.health.state === "reset-required";
    const restart = () => {
      able.fields.forget();
      gpm.forget();
      slow = newDraft();
      slowDueMs = 0;
    };
    const report = () => {
      const { health } = patient;
      if (health.state === reported) return;
      const facts = { uuid, index: about.index, state: health.state };
      if (health.state === "ok") log("info", "gpu recovered", facts);
      else log("warn", "gpu unhealthy", { ...facts, reason: health.reason });
      reported = health.state;
    };
    const reportPermission = (draft: Draft) => {
      const names = readingNames.filter((name) => draft.absences[name] === "not-permitted");
      if (isPermissionReported || names.length === 0) return;
      isPermissionReported = true;
      log("warn", "gpu readings not permitted", { uuid, readings: names });
    };

    return {
      uuid,
      index: () => about.index,
      present: (newHandle, index, pass) => {
        handle = newHandle;
        if (index !== about.index) about = { ...about, index };
        // A lost device that can be opened is tried once: it may have been reset.
        if (isLost()) patient.health = ok;
        patient.fresh = true;
        const returnCode = migMode(newHandle);
        const verdict = heed(migModeSymbol, returnCode, false, patient, pass);
        const mode = verdict === "ok" && readU32(api.memory.view, 0) === 1;
        if (isMig !== undefined && mode !== isMig) able = capabilities();
        isMig = mode;
      },
      refused: (symbol, returnCode) => {
        const verdict = verdictOf(returnCode);
        if (verdict !== "lost" && verdict !== "reset-required") return;
        patient.health = { state: verdict, reason: explain(symbol, returnCode) };
        restart();
      },
      vanished: () => {
        handle = undefined;
        const reason = "the driver does not list it any more; look for Xid lines in dmesg";
        patient.health = { state: "lost", reason };
        restart();
      },
      sample: (wants, pass) => {
        isTroubled = false;
        const draft = newDraft();
        const isThere = handle !== undefined && !isLost() && takeSample(handle, wants, draft, pass);
        patient.fresh = false;
        if (!isThere) restart();
        isTroubled = patient.stale || (!isThere && reported !== patient.health.state);
        patient.stale = false;
        report();
        if (!isThere) return { ...about, health: patient.health, readings: {}, absences: nothing };
        reportPermission(draft);
        return { ...about, health: patient.health, ...draft };
      },
      isTroubled: () => isTroubled,
      close: gpm.close,
    };
  };
}
