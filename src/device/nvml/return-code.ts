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
type ReturnClass = RefusalClass | "session" | "fatal";
type RefusalClass =
  | "unsupported"
  | "not-permitted"
  | "failed"
  | "failing"
  | "lost"
  | "reset-required"
  | "unknown";

interface ReturnCode {
  readonly name: string;
  readonly class: ReturnClass;
  /** What a person can do; for the classes that a person gets to see. */
  readonly advice?: string;
}

const restart = "restart the container, so that the runtime gives it the devices again";
const reset = "drain the node and reset the GPU, or reboot";

const returnCodes: Readonly<Record<number, ReturnCode>> = {
  1: { name: "ERROR_UNINITIALIZED", class: "session", advice: "it is opened again" },
  2: { name: "ERROR_INVALID_ARGUMENT", class: "unsupported" },
  3: { name: "ERROR_NOT_SUPPORTED", class: "unsupported" },
  4: {
    name: "ERROR_NO_PERMISSION",
    class: "not-permitted",
    advice: "run the process with access to /dev/nvidiactl and /dev/nvidia*",
  },
  5: { name: "ERROR_ALREADY_INITIALIZED", class: "failed" },
  6: { name: "ERROR_NOT_FOUND", class: "failed" },
  7: { name: "ERROR_INSUFFICIENT_SIZE", class: "failed" },
  8: {
    name: "ERROR_INSUFFICIENT_POWER",
    class: "failing",
    advice: "check the GPU's external power cables",
  },
  9: {
    name: "ERROR_DRIVER_NOT_LOADED",
    class: "session",
    advice: "it is opened again as soon as the driver is loaded",
  },
  10: { name: "ERROR_TIMEOUT", class: "failed" },
  11: { name: "ERROR_IRQ_ISSUE", class: "failing", advice: "look for Xid lines in dmesg" },
  12: { name: "ERROR_LIBRARY_NOT_FOUND", class: "failed" },
  13: { name: "ERROR_FUNCTION_NOT_FOUND", class: "unsupported" },
  14: {
    name: "ERROR_CORRUPTED_INFOROM",
    class: "failing",
    advice: "its ECC counts cannot be trusted: have the GPU serviced",
  },
  15: { name: "ERROR_GPU_IS_LOST", class: "lost", advice: reset },
  16: { name: "ERROR_RESET_REQUIRED", class: "reset-required", advice: reset },
  17: { name: "ERROR_OPERATING_SYSTEM", class: "fatal", advice: restart },
  18: {
    name: "ERROR_LIB_RM_VERSION_MISMATCH",
    class: "fatal",
    advice:
      "the driver was changed under this process: restart the container, to get its new library",
  },
  19: { name: "ERROR_IN_USE", class: "failed" },
  20: { name: "ERROR_MEMORY", class: "failed" },
  21: { name: "ERROR_NO_DATA", class: "failed" },
  23: { name: "ERROR_INSUFFICIENT_RESOURCES", class: "failed" },
  24: { name: "ERROR_FREQ_NOT_SUPPORTED", class: "failed" },
  25: { name: "ERROR_ARGUMENT_VERSION_MISMATCH", class: "unsupported" },
  26: { name: "ERROR_DEPRECATED", class: "unsupported" },
  27: { name: "ERROR_NOT_READY", class: "failed" },
  28: { name: "ERROR_GPU_NOT_FOUND", class: "failed" },
  29: { name: "ERROR_INVALID_STATE", class: "failed" },
  30: { name: "ERROR_RESET_TYPE_NOT_SUPPORTED", class: "failed" },
  999: { name: "ERROR_UNKNOWN", class: "unknown", advice: restart },
};

/** A code of tomorrow's driver fails its reading and nothing else. */
export function returnClassOf(returnCode: number): ReturnClass {
  return returnCodes[returnCode]?.class ?? "failed";
}

/** `nvmlDeviceGetX returned 15 (NVML_ERROR_GPU_IS_LOST); <advice>`, for people. */
export function describeReturn(symbol: string, returnCode: number): string {
  const { name, advice } = returnCodes[returnCode] ?? {};
  const named = name === undefined ? "" : ` (NVML_${name})`;
  return `${symbol} returned ${returnCode}${named}${advice === undefined ? "" : `; ${advice}`}`;
}

/** The fault that ends a session. */
export function libraryFailed(symbol: string, returnCode: number, fatal: boolean): Fault {
  const message = `Cannot read the GPUs: ${describeReturn(symbol, returnCode)}`;
  return new Fault("library-failed", message, { symbol, returnCode, fatal });
}

/** A call that the driver did not answer, which leaves the session standing. */
export interface Refusal {
  readonly symbol: string;
  readonly returnCode: number;
  /** `void-handle`: a handle that worked is not valid any more, so the list of devices changed. */
  readonly class: RefusalClass | "void-handle";
}

/**
 * Classes a code that is not 0.
 *
 * @param hasWorked The same call on the same device succeeded before, by a handle that is not new: it
 * cannot have become an unknown one, so an invalid argument is then the handle.
 * @throws {Fault} `library-failed` when the session is over, whichever device the code came from.
 */
export function refusalOf(symbol: string, returnCode: number, hasWorked = false): Refusal {
  if (returnCode === invalidArgument && hasWorked)
    return { symbol, returnCode, class: "void-handle" };
  const returnClass = returnClassOf(returnCode);
  if (returnClass === "session" || returnClass === "fatal")
    throw libraryFailed(symbol, returnCode, returnClass === "fatal");
  return { symbol, returnCode, class: returnClass };
}

const invalidArgument = 2;

/** @throws {Fault} `library-failed` when the session is over. */
export function hasSucceeded(symbol: string, returnCode: number): boolean {
  if (returnCode !== 0) refusalOf(symbol, returnCode);
  return returnCode === 0;
}

/** How a refused reading is listed. */
export function absenceOf({ class: refused }: Refusal): Absence {
  return refused === "unsupported" || refused === "not-permitted" ? refused : "failed";
}

/** Whether the device gives nothing now, so that more calls are pointless. */
export function isGone({ class: refused }: Refusal): boolean {
  return refused === "lost" || refused === "reset-required";
}
