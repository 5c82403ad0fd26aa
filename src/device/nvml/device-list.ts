/**
 * The devices of one driver session.
 *
 * Devices are known by UUID, because an index is a place in a list that changes. A device that was
 * known and is not listed any more is reported as lost for as long as the session lasts.
 *
 * @module
 */
import type { Log } from "#core/log.ts";
import type { Api, CallReturn } from "./api.ts";
import type { Gpu, GpuFactory } from "./gpu.ts";
import type { IdentityApi } from "./identity.ts";
import {
  describeReturn,
  hasSucceeded,
  libraryFailed,
  type Refusal,
  refusalOf,
} from "./return-code.ts";

export interface DeviceList {
  /**
   * Reads the driver's list again.
   *
   * @returns What the driver said of devices that cannot be opened.
   * @throws {Fault} `library-failed` when the session is over.
   */
  readonly refresh: () => readonly Refusal[];
  /** By index. */
  readonly gpus: () => readonly Gpu[];
  /** The session must still be open. */
  readonly close: () => void;
}

export interface DeviceListOptions {
  readonly api: Api;
  readonly identity: IdentityApi;
  readonly createGpu: GpuFactory;
  /** A device of the list was opened, by this handle. */
  readonly onOpened: (uuid: string, handle: number) => void;
  readonly log: Log;
}

export function deviceList({
  api,
  identity,
  createGpu,
  onOpened,
  log,
}: DeviceListOptions): DeviceList {
  const known = new Map<string, Gpu>();
  /** By index, why a device that never told its UUID cannot be opened. */
  const unnamed = new Map<number, string>();
  let ordered: readonly Gpu[] = [];

  /** Opens the device at one index of the driver's list. */
  const open = (index: number): Gpu | CallReturn<unknown> => {
    const opened = api.handle(index);
    if (opened.value === undefined) return opened;
    const named = identity.uuid(opened.value);
    if (named.value === undefined) return named;
    const gpu = known.get(named.value) ?? createGpu(named.value, opened.value, index);
    known.set(named.value, gpu);
    gpu.listed(opened.value, index);
    onOpened(named.value, opened.value);
    return gpu;
  };

  const notOpened = (index: number, gpu: Gpu | undefined, returned: CallReturn<unknown>) => {
    const refusal = refusalOf(returned.symbol, returned.returnCode);
    if (gpu === undefined) logUnnamed(index, describeReturn(returned.symbol, returned.returnCode));
    else gpu.notOpened(refusal);
    return refusal;
  };

  /** Such a device cannot be listed: nobody could say which one it is. */
  const logUnnamed = (index: number, reason: string) => {
    if (unnamed.get(index) === reason) return;
    unnamed.set(index, reason);
    log("warn", "gpu cannot be opened", { index, reason });
  };

  return {
    refresh: () => {
      const count = api.count();
      if (!hasSucceeded(count.symbol, count.returnCode) || count.value === undefined)
        throw libraryFailed(count.symbol, count.returnCode, false);

      const listed = new Set<Gpu>();
      const failures: [index: number, returned: CallReturn<unknown>][] = [];
      for (let index = 0; index < count.value; index += 1) {
        const opened = open(index);
        if ("returnCode" in opened) failures.push([index, opened]);
        else listed.add(opened);
      }
      const refusals = failures.map(([index, returned]) => {
        const gpu = [...known.values()].find((one) => !listed.has(one) && one.index() === index);
        if (gpu !== undefined) listed.add(gpu);
        return notOpened(index, gpu, returned);
      });
      for (const gpu of known.values()) if (!listed.has(gpu)) gpu.unlisted();
      ordered = [...known.values()].sort((one, other) => one.index() - other.index());
      return refusals;
    },
    gpus: () => ordered,
    close: () => {
      for (const gpu of known.values()) gpu.close();
      known.clear();
    },
  };
}
