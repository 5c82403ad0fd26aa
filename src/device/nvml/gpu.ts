/**
 * One GPU of a session: who it is, how it is, and its next sample.
 *
 * @module
 */
import type { Log } from "#core/log.ts";
import { type Absences, readingNames } from "#metric/reading.ts";
import type { DeviceHealth, DeviceIdentity, DeviceSample } from "#metric/sample.ts";
import type { Api } from "./api.ts";
import { type Draft, newDraft } from "./draft.ts";
import { bindGpm } from "./gpm.ts";
import { eccModeSymbol, gpuReadings, type Wants } from "./gpu-readings.ts";
import type { IdentityApi } from "./identity.ts";
import { readU32 } from "./layout.ts";
import { heed, type Pass, type Patient, type Refusal } from "./pass.ts";
import { explain, verdictOf } from "./return-code.ts";

export interface Gpu {
  readonly index: () => number;
  /** The list of devices has it, with this handle. */
  readonly present: (handle: number, index: number) => void;
  /** The list has something in its place that cannot be opened. */
  readonly refused: (symbol: string, returnCode: number) => void;
  /** The list does not have it any more. */
  readonly vanished: () => void;
  /** @throws {Fault} `library-failed` when the session ends here. */
  readonly sample: (wants: Wants, pass: Pass) => DeviceSample;
  /** Whether the last sample was such that the list of devices is worth another look. */
  readonly isTroubled: () => boolean;
  /** Lets go of what it holds in the library; the session must still be open. */
  readonly close: () => void;
}

export type GpuFactory = (uuid: string, handle: number, index: number) => Gpu;

const nothing: Absences = Object.freeze(
  Object.fromEntries(readingNames.map((name) => [name, "failed"])),
);

/** Binds once what all GPUs share. */
export function gpuFactory(api: Api, identity: IdentityApi, log: Log): GpuFactory {
  const shared = { api, gpm: bindGpm(api), eccMode: api.query(eccModeSymbol, 2) };
  const migModeSymbol = "nvmlDeviceGetMigMode";
  const migMode = api.query(migModeSymbol, 2);

  return (uuid, firstHandle, firstIndex) => {
    const { powerIsAverage, ...description } = identity.describe(firstHandle);
    const readings = gpuReadings(shared, powerIsAverage);
    const report = healthReport(uuid, log);
    const patient: Patient = {
      health: { state: "ok" },
      isFresh: true,
      isStale: false,
      unknown: undefined,
    };
    let about: DeviceIdentity = { uuid, index: firstIndex, ...description };
    let handle: number | undefined = firstHandle;
    let isMig: boolean | undefined;
    let isTroubled = false;

    /** A slice that comes or goes changes what the whole GPU answers. */
    const noteMode = (device: number) => {
      const verdict = heed(migModeSymbol, migMode(device), false, patient);
      if (verdict !== "ok" && verdict !== "unsupported") return;
      const isMigNow = verdict === "ok" && readU32(api.memory.view, 0) === 1;
      if (isMig !== undefined && isMig !== isMigNow) readings.relearn();
      isMig = isMigNow;
    };

    const takeSample = (device: number, wants: Wants, draft: Draft, pass: Pass): boolean => {
      const answered = pass.answered;
      const isThere = readings.take(device, wants, draft, patient, pass);
      const { unknown } = patient;
      if (unknown === undefined) return isThere;
      if (pass.answered === answered) patient.health = illness("failing", unknown);
      pass.unknown ??= unknown;
      patient.unknown = undefined;
      return isThere;
    };

    return {
      index: () => about.index,
      present: (newHandle, index) => {
        handle = newHandle;
        if (index !== about.index) about = { ...about, index };
        // A lost device that can be opened is tried once: it may have been reset.
        if (isLost(patient.health)) patient.health = { state: "ok" };
        patient.isFresh = true;
        noteMode(newHandle);
      },
      refused: (symbol, returnCode) => {
        const verdict = verdictOf(returnCode);
        if (verdict === "lost" || verdict === "reset-required")
          patient.health = illness(verdict, { symbol, returnCode });
      },
      vanished: () => {
        handle = undefined;
        const reason = "the driver does not list it any more; look for Xid lines in dmesg";
        patient.health = { state: "lost", reason };
      },
      sample: (wants, pass) => {
        const draft = newDraft();
        const isThere =
          handle !== undefined && !isLost(patient.health) && takeSample(handle, wants, draft, pass);
        if (!isThere) readings.restart();
        const isChanged = report(patient.health, draft, about.index);
        isTroubled = patient.isStale || (!isThere && isChanged);
        patient.isFresh = false;
        patient.isStale = false;
        return isThere
          ? { ...about, health: patient.health, ...draft }
          : { ...about, health: patient.health, readings: {}, absences: nothing };
      },
      isTroubled: () => isTroubled,
      close: readings.close,
    };
  };
}

function isLost({ state }: DeviceHealth): boolean {
  return state === "lost" || state === "reset-required";
}

function illness(
  state: "lost" | "reset-required" | "failing",
  { symbol, returnCode }: Refusal,
): DeviceHealth {
  return { state, reason: explain(symbol, returnCode) };
}

/** Logs a GPU's health when it changes, and once what the process may not read. */
function healthReport(
  uuid: string,
  log: Log,
): (health: DeviceHealth, draft: Draft, index: number) => boolean {
  let reported: DeviceHealth["state"] = "ok";
  let isPermissionReported = false;
  const isDenied = (draft: Draft) => {
    for (const name in draft.absences)
      if (draft.absences[name as keyof Draft["absences"]] === "not-permitted") return true;
    return false;
  };
  return (health, draft, index) => {
    if (!isPermissionReported && isDenied(draft)) {
      isPermissionReported = true;
      const names = readingNames.filter((name) => draft.absences[name] === "not-permitted");
      log("warn", "gpu readings not permitted", { uuid, index, readings: names });
    }
    if (health.state === reported) return false;
    reported = health.state;
    if (health.state === "ok") log("info", "gpu recovered", { uuid, index });
    else log("warn", "gpu unhealthy", { uuid, index, state: health.state, reason: health.reason });
    return true;
  };
}
