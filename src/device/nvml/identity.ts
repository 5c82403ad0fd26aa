/**
 * What a device is, read once: these calls are not made on every sample.
 *
 * @module
 */
import type { DeviceIdentity } from "#metric/sample.ts";
import type { Api, CallReturn } from "./api.ts";
import { layouts, readI32, readText, readU32 } from "./layout.ts";
import { hasSucceeded } from "./return-code.ts";

export interface IdentityApi {
  readonly uuid: (device: number) => CallReturn<string>;
  /** @throws {Fault} `library-failed` when the session ends here. */
  readonly describe: (device: number) => Description;
}

interface Description extends Omit<DeviceIdentity, "uuid" | "index"> {
  /**
   * Whether `nvmlDeviceGetPowerUsage` is an average over a second: from Ampere on, but for GA100
   * (compute capability 8.0), and instantaneous before.
   */
  readonly powerIsAverage: boolean;
}

export function bindIdentity(api: Api): IdentityApi {
  const name = api.deviceText("nvmlDeviceGetName");
  const minorSymbol = "nvmlDeviceGetMinorNumber";
  const minor = api.query(minorSymbol, 1);
  const pciSymbol = "nvmlDeviceGetPciInfo_v3";
  const pci = api.query(pciSymbol, 1);
  const capabilitySymbol = "nvmlDeviceGetCudaComputeCapability";
  const capability = api.query(capabilitySymbol, 2);
  const { view } = api.memory;

  return {
    uuid: api.deviceText("nvmlDeviceGetUUID"),
    describe: (device) => {
      const named = name(device);
      const model = hasSucceeded(named.symbol, named.returnCode) ? named.value : undefined;
      const minorNumber = hasSucceeded(minorSymbol, minor(device)) ? readU32(view, 0) : undefined;
      const busId = hasSucceeded(pciSymbol, pci(device))
        ? sysfsBusId(readText(view, layouts.pciInfo.at.busId, 32))
        : undefined;
      const powerIsAverage =
        hasSucceeded(capabilitySymbol, capability(device)) &&
        isNewerThanGa100(readI32(view, 0), readI32(view, 4));
      return {
        vendor: "nvidia",
        model: model ?? "unknown",
        minor: minorNumber,
        pciBusId: busId,
        powerIsAverage,
      };
    },
  };
}

function isNewerThanGa100(major: number, minor: number): boolean {
  return major > 8 || (major === 8 && minor > 0);
}

/** `00000000:3B:00.0` as sysfs writes it, `0000:3b:00.0`; undefined when it is something else. */
export function sysfsBusId(busId: string): string | undefined {
  const [, domain, rest] = /^0*([0-9a-f]+)(:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(busId) ?? [];
  if (domain === undefined || rest === undefined) return undefined;
  return `${domain.padStart(4, "0")}${rest}`.toLowerCase();
}
