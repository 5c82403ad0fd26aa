/**
 * The partitions (XCPs) of cards that are cut, as MI300 may be into 2, 3, 4 or as many as it has dies.
 *
 * The first partition has the card's own nodes. For the others the driver makes seven platform devices
 * a card, `amdgpu_xcp_<n>`, whether it is cut or not, and nothing in sysfs says whose they are; KFD's
 * topology does, to processes that may open the card's device alone. But the driver makes the nodes of a
 * card and then those of its partitions, in their order, and DRM numbers nodes as they come: so the
 * seven render nodes behind a card's own are its. Where there are not exactly seven behind every card
 * that can be cut and none behind the others, nothing is known.
 *
 * Sources: Linux, drivers/gpu/drm/amd/amdgpu/amdgpu_xcp.c (`amdgpu_xcp_dev_alloc`, `MAX_XCP`,
 * `xcp/xcp_metrics`) and amdxcp/amdgpu_xcp_drv.c (the names); amdkfd/kfd_topology.c (`node_show`,
 * `mem_show`) and amdgpu_amdkfd.h (`KFD_XCP_MEMORY_SIZE`).
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Absence } from "#metric/reading.ts";
import { type AmdCard, renderMinor } from "./cards.ts";
import { absenceOfCode, namesIn, readSysfs } from "./sysfs.ts";

export interface AmdPartition {
  /** From 0 on. */
  readonly number: number;
  /** The name of its device in sysfs: of the first the card's PCI address. */
  readonly sysfsName: string;
  readonly minor: number;
  /** Its folder in sysfs. */
  readonly device: string;
}

/** `MAX_XCP` of the driver. */
const partitionsMax = 8;
const platformName = /^amdgpu_xcp_\d+$/;

/** Modes that say how many there are; of CPX only the card's own tables do. */
const countsByMode: Readonly<Record<string, number>> = { DPX: 2, TPX: 3, QPX: 4 };

/**
 * The nodes that each card has for partitions, those too that are not in use now.
 *
 * @returns By the card's PCI address, in the order of partitions; `undefined` where it cannot be told.
 */
export function partitionNodes(
  sysfsRoot: string,
  cards: readonly AmdCard[],
): ReadonlyMap<string, readonly AmdPartition[]> | undefined {
  const others = platformNodes(join(sysfsRoot, "devices", "platform"));
  const own = cards
    .flatMap(({ pciBusId, device }) => {
      const minor = renderMinor(device);
      return minor === undefined ? [] : [{ number: 0, sysfsName: pciBusId, minor, device }];
    })
    .sort((one, other) => one.minor - other.minor);
  const nodes = new Map<string, readonly AmdPartition[]>();
  let assigned = 0;
  for (const [at, first] of own.entries()) {
    const end = own[at + 1]?.minor ?? Number.POSITIVE_INFINITY;
    const behind = others.filter(({ minor }) => minor > first.minor && minor < end);
    if (behind.length !== (isDivisible(first.device) ? partitionsMax - 1 : 0)) return undefined;
    assigned += behind.length;
    nodes.set(first.sysfsName, [
      first,
      ...behind.map((node, nth) => ({ ...node, number: nth + 1 })),
    ]);
  }
  return assigned === others.length ? nodes : undefined;
}

/** By render node. */
function platformNodes(folder: string): readonly AmdPartition[] {
  const names = namesIn(folder);
  return ("absence" in names ? [] : names)
    .filter((name) => platformName.test(name))
    .flatMap((sysfsName) => {
      const device = join(folder, sysfsName);
      const minor = renderMinor(device);
      return minor === undefined ? [] : [{ number: 0, sysfsName, minor, device }];
    })
    .sort((one, other) => one.minor - other.minor);
}

function isDivisible(device: string): boolean {
  return existsSync(join(device, "current_compute_partition"));
}

/** A partition's own table, where the kernel has it: only those that are in use have one. */
export function tablePathOf({ device }: AmdPartition): string {
  return join(device, "xcp", "xcp_metrics");
}

/**
 * @param mode As the driver names it, `CPX`.
 * @param reported What the card's table says, if it does.
 * @returns Those that are in use: none where their number is not known.
 */
export function partitionsInUse(
  nodes: readonly AmdPartition[],
  mode: string,
  reported: number | undefined,
): readonly AmdPartition[] {
  const withTable = nodes.filter((node) => existsSync(tablePathOf(node))).length;
  const count = countsByMode[mode] ?? reported ?? withTable;
  return count > 1 && count <= nodes.length ? nodes.slice(0, count) : [];
}

/** The memory of nodes, or why that of the others is not known. */
export interface KfdMemory {
  /** In bytes, by render node. */
  readonly totals: ReadonlyMap<number, number>;
  readonly absence: Absence;
}

/**
 * What KFD says of each node's memory: of a partition its part. Of what is used KFD has only the card's,
 * under each of its partitions.
 */
export function kfdMemory(sysfsRoot: string): KfdMemory {
  const folder = join(sysfsRoot, "class", "kfd", "kfd", "topology", "nodes");
  const names = namesIn(folder);
  if ("absence" in names) return { totals: new Map(), absence: names.absence };
  const totals = new Map<number, number>();
  let absence: Absence = "unsupported";
  for (const name of names) {
    const node = kfdNode(join(folder, name));
    if (typeof node !== "string") totals.set(node.minor, node.bytes);
    else if (node !== "unsupported") absence = node;
  }
  return { totals, absence };
}

function kfdNode(folder: string): { readonly minor: number; readonly bytes: number } | Absence {
  const node = readSysfs(join(folder, "properties"));
  if (typeof node !== "string") return absenceOfKfdCode(node.code);
  const bank = readSysfs(join(folder, "mem_banks", "0", "properties"));
  if (typeof bank !== "string") return absenceOfKfdCode(bank.code);
  const [minor, bytes] = [numberIn(node, "drm_render_minor"), numberIn(bank, "size_in_bytes")];
  return minor === undefined || bytes === undefined ? "unsupported" : { minor, bytes };
}

/** Here `EPERM` is the cgroup's answer: the process may not open the card's device. */
export function absenceOfKfdCode(code: string): Absence {
  return code === "EPERM" ? "not-permitted" : absenceOfCode(code);
}

/** A line is a name and a number. */
function numberIn(text: string, name: string): number | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  const value = line?.slice(name.length + 1);
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}
