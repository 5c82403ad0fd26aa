/**
 * What the driver reports by itself: errors of a GPU (XIDs), and that a GPU was cut anew.
 *
 * One event set a driver session. It is asked with a timeout of 0 once a pass, because a wait sleeps
 * for all of its timeout; what happened before a GPU was registered is lost. Instances of MIG have no
 * events of their own: those of their GPU name them.
 *
 * Source: nvml.h of CUDA 11.0 to 13.3, `nvmlEventType*` and `nvmlEventData_t`
 *
 * @module
 */
import { nvmlEventsPerPassMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { Api } from "./api.ts";
import type { IdentityApi } from "./identity.ts";
import { layouts, readU32, readU64, unwrittenU32 } from "./layout.ts";
import { describeReturn, type Refusal, refusalOf } from "./return-code.ts";

export type GpuEvent = XidEvent | { readonly kind: "mig-changed" };

/** An error that the driver met, by NVIDIA's number of it. */
export interface XidEvent {
  readonly kind: "xid";
  /** Of the whole GPU. */
  readonly uuid: string;
  readonly xid: number;
  /** Where it happened, on a GPU that is cut; absent where it concerns all of it. */
  readonly gpuInstance?: number | undefined;
}

export interface GpuEvents {
  /**
   * Has the events of a GPU reported from now on; a handle that is known costs nothing.
   *
   * @throws {Fault} `library-failed` when the session is over.
   */
  readonly register: (uuid: string, handle: number) => void;
  /**
   * Takes what was reported since the last time, a bounded number, without waiting.
   *
   * @throws {Fault} `library-failed` when the session is over.
   */
  readonly drain: () => readonly GpuEvent[];
  /** The session must still be open. */
  readonly close: () => void;
}

const xidCritical = 0x8;
const migConfigChange = 0x100;
/** NVML_ERROR_TIMEOUT: nothing more has happened. */
const nothingMore = 10;
/** The GPU is not cut, or all of it is meant. */
const noInstance = 0xffff_ffff;
const { eventData } = layouts;

/** A driver, or a place, that gives no event set has no events: readings do not need them. */
export function gpuEvents(api: Api, { uuid: uuidOf }: IdentityApi, log: Log): GpuEvents {
  const native = bindEvents(api);
  const { view } = api.memory;
  /** By handle, those that report something. */
  const reporting = new Map<number, string>();
  /** By UUID, the handle that was registered, whatever the driver said. */
  const registered = new Map<string, number>();
  const tell = (symbol: string, returnCode: number) =>
    log("warn", "gpu events refused", { reason: describeReturn(symbol, returnCode) });
  const created = native.create();
  let set = created.value;
  if (set === undefined) tell(created.symbol, created.returnCode);

  const close = () => {
    if (set !== undefined) native.free(set);
    set = undefined;
  };
  /** Without the right symbols, and with a set that the driver calls broken, there are no events. */
  const refused = (symbol: string, returnCode: number): Refusal => {
    const refusal = refusalOf(symbol, returnCode);
    if (refusal.class !== "unsupported") tell(symbol, returnCode);
    if (refusal.class === "unknown") close();
    return refusal;
  };
  const eventOf = (): GpuEvent | undefined => {
    const types = readU64(view, eventData.at.eventType);
    const device = readU64(view, eventData.at.device);
    const xid = readU64(view, eventData.at.eventData);
    const gpuInstance = readU32(view, eventData.at.gpuInstanceId);
    // A driver that wrote nothing.
    if (types > Number.MAX_SAFE_INTEGER) return undefined;
    const bits = readU32(view, eventData.at.eventType);
    if ((bits & migConfigChange) !== 0) return { kind: "mig-changed" };
    const uuid = reporting.get(device) ?? uuidOf(device).value;
    if ((bits & xidCritical) === 0 || uuid === undefined) return undefined;
    const isWhole = gpuInstance === noInstance || gpuInstance === unwrittenU32;
    return { kind: "xid", uuid, xid, gpuInstance: isWhole ? undefined : gpuInstance };
  };

  /** @returns Whether there was one more, which the memory has now. */
  const take = (): boolean => {
    if (set === undefined || reporting.size === 0) return false;
    const { symbol, returnCode } = native.next(set);
    if (returnCode === 0 || returnCode === nothingMore) return returnCode === 0;
    if (refused(symbol, returnCode).class === "unsupported") close();
    return false;
  };

  return {
    register: (uuid, handle) => {
      if (set === undefined || registered.get(uuid) === handle) return;
      reporting.delete(registered.get(uuid) ?? 0);
      const { symbol, returnCode } = native.register(set, handle);
      if (returnCode === 0) reporting.set(handle, uuid);
      // What is refused for another reason may be granted when the list is read again.
      if (returnCode === 0 || refused(symbol, returnCode).class === "unsupported")
        registered.set(uuid, handle);
    },
    drain: () => {
      const events: GpuEvent[] = [];
      for (let taken = 0; taken < nvmlEventsPerPassMax && take(); taken += 1) {
        const event = eventOf();
        if (event !== undefined) events.push(event);
      }
      return events;
    },
    close,
  };
}

interface Returned {
  readonly symbol: string;
  readonly returnCode: number;
}

function bindEvents({ bind, handleOf, memory, query }: Api) {
  const { view, address, poison } = memory;
  const free = bind("nvmlEventSetFree", ["pointer"]);
  const supportedSymbol = "nvmlDeviceGetSupportedEventTypes";
  const supported = query(supportedSymbol, 1);
  const registerSymbol = "nvmlDeviceRegisterEvents";
  const register = bind(registerSymbol, ["pointer", "unsigned-64", "pointer"]);
  const waits = ["nvmlEventSetWait_v2", "nvmlEventSetWait"].map((symbol) => {
    const wait = bind(symbol, ["pointer", "pointer", "unsigned"]);
    return { symbol, wait };
  });
  let position = 0;

  return {
    create: handleOf("nvmlEventSetCreate", []),
    free,
    /** Of what the GPU can report, what is wanted of it. */
    register: (set: number, device: number): Returned => {
      const supportedCode = supported(device);
      if (supportedCode !== 0) return { symbol: supportedSymbol, returnCode: supportedCode };
      const types = readU32(view, 0) & (xidCritical | migConfigChange);
      const returnCode = types === 0 ? notSupported : register(device, types, set);
      return { symbol: registerSymbol, returnCode };
    },
    next: (set: number): Returned => {
      for (; position < waits.length; position += 1) {
        const { symbol, wait } = waits[position] as (typeof waits)[number];
        poison(eventData.sizeBytes);
        const returnCode = wait(set, address, 0);
        if (returnCode !== functionNotFound) return { symbol, returnCode };
      }
      return { symbol: "nvmlEventSetWait", returnCode: functionNotFound };
    },
  };
}

const notSupported = 3;
const functionNotFound = 13;
