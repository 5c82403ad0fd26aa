/**
 * How one GPU is: from what the driver refused, and from what its list of devices says.
 *
 * @module
 */
import type { DeviceHealth } from "#metric/sample.ts";
import { describeReturn, type Refusal } from "./return-code.ts";

export interface GpuHealth {
  readonly now: () => DeviceHealth;
  /** Lost or in need of a reset: no call is made before the list of devices has it again. */
  readonly isLost: () => boolean;
  /** A refusal that says something of the device makes it so. */
  readonly note: (refusal: Refusal) => void;
  /**
   * After the calls of a pass, of which so many succeeded.
   *
   * @returns The first refusal since the last pass that does not say what is wrong. A GPU that
   * answered nothing else is failing.
   */
  readonly endPass: (answered: number) => Refusal | undefined;
  /** Believes it well until a call says otherwise. */
  readonly reset: () => void;
  /** The driver's list does not have it any more. */
  readonly unlisted: () => void;
}

/** From best to worst. */
const states = ["ok", "failing", "reset-required", "lost"] as const;

/** Of what calls say and what else is known; what calls say where both are alike. */
export function worseHealth(called: DeviceHealth, known: DeviceHealth): DeviceHealth {
  return states.indexOf(known.state) > states.indexOf(called.state) ? known : called;
}

export function gpuHealth(): GpuHealth {
  let health: DeviceHealth = { state: "ok" };
  let unknown: Refusal | undefined;
  const become = (state: "lost" | "reset-required" | "failing", refusal: Refusal) => {
    health = { state, reason: describeReturn(refusal.symbol, refusal.returnCode) };
  };
  return {
    now: () => health,
    isLost: () => health.state === "lost" || health.state === "reset-required",
    note: (refusal) => {
      const { class: state } = refusal;
      if (state === "unknown") unknown ??= refusal;
      if (state === "lost" || state === "reset-required" || state === "failing")
        become(state, refusal);
    },
    endPass: (answered) => {
      const first = unknown;
      unknown = undefined;
      if (first !== undefined && answered === 0) become("failing", first);
      return first;
    },
    reset: () => {
      health = { state: "ok" };
    },
    unlisted: () => {
      const reason = "the driver does not list it any more; look for Xid lines in dmesg";
      health = { state: "lost", reason };
    },
  };
}
