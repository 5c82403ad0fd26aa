/**
 * What is said of a GPU beside its readings: from the driver's errors and flags, and from readings that
 * tell of trouble. What needs a reset, and a GPU whose hardware failed, is its health.
 *
 * Source: nvml.h of CUDA 13.3, `nvmlClocksEventReason*`, `NVML_GPU_RECOVERY_ACTION_*` and
 * `nvmlDeviceGetRemappedRows`
 *
 * @module
 */
import { eccGrowthMs, listedNamesMax, slowdownHeldMs } from "#core/limits.ts";
import type { Readings } from "#metric/reading.ts";
import type { ConditionKind, DeviceCondition, DeviceHealth } from "#metric/sample.ts";
import type { DriverFlags } from "./fields.ts";
import type { RecentXid, XidHistory } from "./xids.ts";

/** One pass over a GPU. */
export interface ConditionFacts {
  readonly nowMs: number;
  /** Empty while it is not read. */
  readonly readings: Readings;
  readonly flags: DriverFlags;
}

export interface GpuState {
  /** Worse than ok where errors or flags say so; its readings are then not to be trusted. */
  readonly health: DeviceHealth;
  /**
   * Of the GPU, or of a part of it: what happened in one part is no other part's.
   *
   * @param gpuInstance Absent: of the whole.
   */
  readonly conditions: (gpuInstance?: number) => readonly DeviceCondition[];
}

export interface GpuConditions {
  readonly update: (facts: ConditionFacts) => GpuState;
}

const dmesg = "look for Xid lines in dmesg";
const ok: DeviceHealth = { state: "ok" };
const none: readonly DeviceCondition[] = [];
const noFlags: DriverFlags = {};

/** What each number of the recovery action asks for; 0 is nothing. */
const recoveryActions: { readonly [Action in number]?: { name: string; advice: string } } = {
  1: { name: "reset", advice: "drain the node and reset the GPU" },
  2: { name: "reboot", advice: "drain the node and reboot it" },
  3: { name: "drain P2P", advice: "end what uses the GPU together with others" },
  4: { name: "drain and reset", advice: "let its pods end, then reset the GPU" },
  5: { name: "IMEX", advice: "look into the IMEX service of the node" },
};
/** Until then nothing that it gives is worth anything. */
const resetActions = [1, 2];

interface Slowdown {
  readonly kind: ConditionKind;
  readonly detail: string;
  readonly isIn: (mask: number) => boolean;
}

const [hardwareSlowdown, softwareThermal, hardwareThermal, powerBrake] = [0x8, 0x20, 0x40, 0x80];
const slowdowns: readonly Slowdown[] = [
  {
    kind: "thermal-slowdown",
    detail: "its clocks are low because it, or its memory, is too hot; check the node's cooling",
    isIn: (mask) => (mask & (hardwareThermal | softwareThermal)) !== 0,
  },
  {
    kind: "power-brake",
    detail:
      "its clocks are low because the node's power supply asks for it; check the node's power",
    isIn: (mask) => (mask & powerBrake) !== 0,
  },
  {
    // The driver sets it beside the two above, which then say why.
    kind: "hardware-slowdown",
    detail: "the hardware has cut its clocks; check the node's cooling and power",
    isIn: (mask) =>
      (mask & hardwareSlowdown) !== 0 && (mask & (hardwareThermal | powerBrake)) === 0,
  },
];

export function gpuConditions(uuid: string, xids: XidHistory): GpuConditions {
  const held = heldSlowdowns();
  const memoryErrors = memoryErrorGrowth();
  let failing: readonly RecentXid[] = [];

  /** A GPU whose hardware failed stays so while the driver wants something done about it. */
  const hardwareXids = (nowMs: number, { recoveryAction = 0 }: DriverFlags) => {
    const recent = xids.recent(uuid, "hardware", nowMs);
    if (recent.length > 0 || recoveryAction === 0) failing = recent;
    return failing;
  };

  return {
    update: ({ nowMs, readings, flags }) => {
      const hardware = hardwareXids(nowMs, flags);
      const application = xids.recent(uuid, "application", nowMs);
      const shared = [
        ...xidConditions("xid-hardware", hardware, `it is not well; ${dmesg}`),
        ...memoryErrors(readings, nowMs),
        ...flagConditions(flags),
        ...held(readings, nowMs),
      ];
      return {
        health: healthOf(hardware, flags),
        conditions: (gpuInstance) => {
          const own =
            gpuInstance === undefined
              ? application
              : application.filter((one) => (one.gpuInstance ?? gpuInstance) === gpuInstance);
          if (own.length === 0) return shared.length === 0 ? none : shared;
          const advice = "an application's fault; look into the logs of its pods";
          return [...xidConditions("xid-application", own, advice), ...shared];
        },
      };
    },
  };
}

/** Of a GPU on which no call is made now, what it said before is not known to stand. */
export const unreadFacts = (nowMs: number): ConditionFacts => ({
  nowMs,
  readings: {},
  flags: noFlags,
});

function healthOf(
  hardware: readonly RecentXid[],
  { recoveryAction = 0 }: DriverFlags,
): DeviceHealth {
  if (resetActions.includes(recoveryAction))
    return { state: "reset-required", reason: recoveryText(recoveryAction) };
  if (hardware.length === 0) return ok;
  return { state: "failing", reason: `${xidText(hardware)}; ${dmesg}` };
}

function xidText(xids: readonly RecentXid[]): string {
  const numbers = [...new Set(xids.map(({ xid }) => xid))];
  const listed = numbers.slice(0, listedNamesMax).join(", ");
  return `XID ${listed}${numbers.length > listedNamesMax ? " and others" : ""}`;
}

function xidConditions(
  kind: ConditionKind,
  xids: readonly RecentXid[],
  advice: string,
): readonly DeviceCondition[] {
  return xids.length === 0 ? none : [{ kind, detail: `${xidText(xids)}: ${advice}` }];
}

function recoveryText(action: number): string {
  const { name, advice } = recoveryActions[action] ?? {
    name: "of a newer driver",
    advice: "look it up in the driver's documentation",
  };
  return `the driver wants recovery action ${action} (${name}): ${advice}`;
}

function flagConditions(flags: DriverFlags): readonly DeviceCondition[] {
  const { recoveryAction = 0, remapPending = 0, remapFailed = 0 } = flags;
  const found: DeviceCondition[] = [];
  if (remapFailed !== 0)
    found.push({
      kind: "row-remap-failed",
      detail: `a row of its memory could not be replaced${remapText(flags)}: have the GPU serviced`,
    });
  if (remapPending !== 0)
    found.push({
      kind: "row-remap-pending",
      detail:
        "rows of its memory wait to be replaced" +
        `${remapText(flags)}: reset the GPU when its pods have ended`,
    });
  if (recoveryAction !== 0)
    found.push({ kind: "recovery-action", detail: recoveryText(recoveryAction) });
  return found;
}

function remapText({ remappedAfterCorrectable, remappedAfterUncorrectable }: DriverFlags): string {
  if (remappedAfterCorrectable === undefined || remappedAfterUncorrectable === undefined) return "";
  return (
    ` (so far ${remappedAfterUncorrectable} after uncorrectable errors, ` +
    `${remappedAfterCorrectable} after correctable ones)`
  );
}

/** Tells of new memory errors; a count that begins again is no news. */
function memoryErrorGrowth() {
  let before: number | undefined;
  let grewAtMs = Number.NEGATIVE_INFINITY;
  return ({ eccUncorrectedErrors: count }: Readings, nowMs: number): readonly DeviceCondition[] => {
    if (count !== undefined) {
      if (before !== undefined && count > before) grewAtMs = nowMs;
      before = count;
    }
    if (nowMs - grewAtMs >= eccGrowthMs) return none;
    const detail =
      `new memory errors that were not corrected, ${before} since the driver was loaded: ` +
      "restart the pods that used it, and watch for more";
    return [{ kind: "ecc-uncorrected", detail }];
  };
}

/** Tells slowdowns for a while after the driver last told of them. */
function heldSlowdowns() {
  const lastAtMs = slowdowns.map(() => Number.NEGATIVE_INFINITY);
  return ({ throttleReasonsMask: mask = 0 }: Readings, nowMs: number) => {
    const found: DeviceCondition[] = [];
    for (const [at, { kind, detail, isIn }] of slowdowns.entries()) {
      if (isIn(mask)) lastAtMs[at] = nowMs;
      if (nowMs - (lastAtMs[at] ?? nowMs) < slowdownHeldMs) found.push({ kind, detail });
    }
    return found;
  };
}
