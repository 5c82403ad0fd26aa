/**
 * What each of NVML's return codes means here, in one table.
 *
 * Source: nvml.h, `nvmlReturn_t`
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { Absence } from "#metric/reading.ts";

/**
 * How far a return code reaches:
 * - `unsupported`, `not-permitted`, `failed`: this reading
 * - `failing`: the device is ill, its other readings stand
 * - `lost`, `reset-required`: the device gives nothing until something is done
 * - `unknown`: the driver does not say; the session, when no call on any device succeeds
 * - `session`: all handles are void; init again, with back-off
 * - `fatal`: only a new container helps
 */
export type Verdict =
  | "ok"
  | "unsupported"
  | "not-permitted"
  | "failed"
  | "failing"
  | "lost"
  | "reset-required"
  | "unknown"
  | "session"
  | "fatal";

interface ReturnCode {
  readonly name: string;
  readonly verdict: Verdict;
  /** What a person can do; for the verdicts that a person gets to see. */
  readonly advice?: string;
}

const restart = "restart the container, so that the runtime gives it the devices again";
const reset = "drain the node and reset the GPU, or reboot";

const returnCodes: Readonly<Record<number, ReturnCode>> = {
  0: { name: "SUCCESS", verdict: "ok" },
  1: { name: "ERROR_UNINITIALIZED", verdict: "session", advice: "it is opened again" },
  2: { name: "ERROR_INVALID_ARGUMENT", verdict: "unsupported" },
  3: { name: "ERROR_NOT_SUPPORTED", verdict: "unsupported" },
  4: {
    name: "ERROR_NO_PERMISSION",
    verdict: "not-permitted",
    advice: "run the process with access to /dev/nvidiactl and /dev/nvidia*",
  },
  5: { name: "ERROR_ALREADY_INITIALIZED", verdict: "failed" },
  6: { name: "ERROR_NOT_FOUND", verdict: "failed" },
  7: { name: "ERROR_INSUFFICIENT_SIZE", verdict: "failed" },
  8: {
    name: "ERROR_INSUFFICIENT_POWER",
    verdict: "failing",
    advice: "check the GPU's external power cables",
  },
  9: {
    name: "ERROR_DRIVER_NOT_LOADED",
    verdict: "session",
    advice: "it is opened again as soon as the driver is loaded",
  },
  10: { name: "ERROR_TIMEOUT", verdict: "failed" },
  11: { name: "ERROR_IRQ_ISSUE", verdict: "failing", advice: "look for Xid lines in dmesg" },
  12: { name: "ERROR_LIBRARY_NOT_FOUND", verdict: "failed" },
  13: { name: "ERROR_FUNCTION_NOT_FOUND", verdict: "unsupported" },
  14: {
    name: "ERROR_CORRUPTED_INFOROM",
    verdict: "failing",
    advice: "its ECC counts cannot be trusted: have the GPU serviced",
  },
  15: { name: "ERROR_GPU_IS_LOST", verdict: "lost", advice: reset },
  16: { name: "ERROR_RESET_REQUIRED", verdict: "reset-required", advice: reset },
  17: { name: "ERROR_OPERATING_SYSTEM", verdict: "fatal", advice: restart },
  18: {
    name: "ERROR_LIB_RM_VERSION_MISMATCH",
    verdict: "fatal",
    advice:
      "the driver was changed under this process: restart the container, to get its new library",
  },
  19: { name: "ERROR_IN_USE", verdict: "failed" },
  20: { name: "ERROR_MEMORY", verdict: "failed" },
  21: { name: "ERROR_NO_DATA", verdict: "failed" },
  23: { name: "ERROR_INSUFFICIENT_RESOURCES", verdict: "failed" },
  24: { name: "ERROR_FREQ_NOT_SUPPORTED", verdict: "failed" },
  25: { name: "ERROR_ARGUMENT_VERSION_MISMATCH", verdict: "unsupported" },
  26: { name: "ERROR_DEPRECATED", verdict: "unsupported" },
  27: { name: "ERROR_NOT_READY", verdict: "failed" },
  28: { name: "ERROR_GPU_NOT_FOUND", verdict: "failed" },
  29: { name: "ERROR_INVALID_STATE", verdict: "failed" },
  30: { name: "ERROR_RESET_TYPE_NOT_SUPPORTED", verdict: "failed" },
  999: { name: "ERROR_UNKNOWN", verdict: "unknown", advice: restart },
};

/** A code of tomorrow's driver fails its reading and nothing else. */
export function verdictOf(returnCode: number): Verdict {
  return returnCodes[returnCode]?.verdict ?? "failed";
}

/** How a refused reading is listed. */
export function absenceOf(verdict: Verdict): Absence {
  return verdict === "unsupported" || verdict === "not-permitted" ? verdict : "failed";
}

/** `nvmlDeviceGetX returned 15 (NVML_ERROR_GPU_IS_LOST); <advice>`, for people. */
export function explain(symbol: string, returnCode: number): string {
  const { name, advice } = returnCodes[returnCode] ?? {};
  const named = name === undefined ? "" : ` (NVML_${name})`;
  return `${symbol} returned ${returnCode}${named}${advice === undefined ? "" : `; ${advice}`}`;
}

/** The fault that ends a session. */
export function libraryFailed(symbol: string, returnCode: number, fatal: boolean): Fault {
  return new Fault("library-failed", `Cannot read the GPUs: ${explain(symbol, returnCode)}`, {
    symbol,
    returnCode,
    fatal,
  });
}

/**
 * The verdict of a code that leaves the session standing.
 *
 * @throws {Fault} `library-failed` when it does not, whichever device the code came from.
 */
export function judge(symbol: string, returnCode: number): Verdict {
  if (returnCode === 0) return "ok";
  const verdict = verdictOf(returnCode);
  if (verdict === "session" || verdict === "fatal")
    throw libraryFailed(symbol, returnCode, verdict === "fatal");
  return verdict;
}
