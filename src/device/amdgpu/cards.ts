/**
 * The AMD cards of the machine, and what each is; `partitions.ts` has the parts of those that are cut.
 *
 * @module
 */
import { realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { Fault } from "#core/fault.ts";
import type { DeviceIdentity } from "#metric/sample.ts";
import { namesIn, readSysfs } from "./sysfs.ts";

/** A card that is there now. */
export interface AmdCard {
  /** As sysfs names its folder, `0000:c1:00.0`. */
  readonly pciBusId: string;
  readonly device: string;
}

const amdVendorId = "0x1002";
const pciAddress = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Where the kernel lists the cards of every vendor. */
export const cardsFolder = (sysfsRoot: string) => join(sysfsRoot, "class", "drm");

/**
 * By PCI address, in which order the driver numbers them too.
 *
 * @throws {Fault} `library-missing` when the kernel does not say which there are.
 */
export function amdCards(sysfsRoot: string): readonly AmdCard[] {
  const folder = cardsFolder(sysfsRoot);
  const names = namesIn(folder);
  if ("absence" in names)
    throw new Fault(
      "library-missing",
      `Cannot list the cards in ${folder}: ${names.code}; look at the mount of sysfs there, or name ` +
        "another with --sysfs-root",
      { paths: [folder] },
    );
  return names
    .filter((name) => /^card\d+$/.test(name))
    .flatMap((name) => {
      const device = deviceOf(join(folder, name, "device"));
      if (device === undefined || readSysfs(join(device, "vendor")) !== amdVendorId) return [];
      const pciBusId = basename(device);
      return pciAddress.test(pciBusId) ? [{ pciBusId, device }] : [];
    })
    .sort((one, other) => (one.pciBusId < other.pciBusId ? -1 : 1));
}

/** The folder that a link leads to; undefined while the device goes away. */
function deviceOf(link: string): string | undefined {
  try {
    return realpathSync(link);
  } catch {
    return undefined;
  }
}

/** What does not change while the card is there. */
export function describeCard({ pciBusId, device }: AmdCard): Omit<DeviceIdentity, "index"> {
  const uniqueId = textOf(join(device, "unique_id"));
  const productName = textOf(join(device, "product_name"));
  const deviceId = textOf(join(device, "device"));
  return {
    // A card without an id of its own, as most APUs are, has none or zeros.
    uuid: uniqueId === undefined || /^0*$/.test(uniqueId) ? pciBusId : `amd-${uniqueId}`,
    vendor: "amd",
    model: productName ?? (deviceId === undefined ? "unknown" : `AMD ${deviceId}`),
    minor: renderMinor(device),
    pciBusId,
  };
}

/**
 * How a card is cut into partitions, as MI300 may be at any time: `DPX`, `TPX`, `QPX` or `CPX`.
 *
 * @param before What it was, which holds while the driver does not say.
 * @returns `undefined` for a card in one piece.
 */
export function partitionMode({ device }: AmdCard, before: string | undefined): string | undefined {
  const mode = readSysfs(join(device, "current_compute_partition"));
  if (typeof mode === "string") return mode === "SPX" ? undefined : mode;
  return mode.absence === "unsupported" ? undefined : before;
}

/** The number of `/dev/dri/renderD<number>`. */
export function renderMinor(device: string): number | undefined {
  const names = namesIn(join(device, "drm"));
  for (const name of "absence" in names ? [] : names) {
    const [, minor] = /^renderD(\d+)$/.exec(name) ?? [];
    if (minor !== undefined) return Number(minor);
  }
  return undefined;
}

/** Undefined where there is no such file, or nothing in it. */
function textOf(path: string): string | undefined {
  const text = readSysfs(path);
  return typeof text === "string" && text !== "" ? text : undefined;
}
