/**
 * A tree like sysfs with the cards that a test wants, made of files and links as the kernel has them.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface TreeCard {
  /** The number in `card<number>`. */
  readonly card: number;
  readonly pci: string;
  readonly vendor?: string;
  readonly renderMinor?: number;
  /** Files of the device's folder by their path in it. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly hwmon?: Readonly<Record<string, string>>;
}

/** A platform device that the driver makes for a partition. */
export interface TreePartition {
  readonly name: string;
  readonly renderMinor: number;
  /** Of a partition in use, where the kernel has it. */
  readonly table?: Uint8Array;
}

export interface SysfsTree extends Disposable {
  readonly root: string;
  readonly add: (card: TreeCard) => void;
  /** As when a card falls off the bus: its folder and the links to it are gone. */
  readonly remove: (card: TreeCard) => void;
  /** Writes one file of a card; `hwmon` is its folder of sensors. */
  readonly write: (card: TreeCard, file: string, content: string | Uint8Array) => void;
  readonly addPartition: (partition: TreePartition) => void;
  /** A node of KFD's topology, with the memory of its device. */
  readonly addKfdNode: (node: number, renderMinor: number, memoryBytes: number) => void;
  /** Has KFD refuse the node, though with EIO and not with EPERM. */
  readonly breakKfdNode: (node: number) => void;
  /** Takes one file of a card away. */
  readonly erase: (card: TreeCard, file: string) => void;
  /** The version that a driver of AMD's own packages tells. */
  readonly tellVersion: (version: string) => void;
  /** Has a read of the file fail with EIO, as reading the start of a process's memory does. */
  readonly breakFile: (card: TreeCard, file: string) => void;
  /** Has the list of a card's sensors, or of all cards, fail with ELOOP. */
  readonly breakFolder: (card?: TreeCard) => void;
}

const hwmonFolder = "hwmon/hwmon4";

export function sysfsTree(...cards: readonly TreeCard[]): SysfsTree {
  const root = mkdtempSync(join(tmpdir(), "sysfs-"));
  const drm = join(root, "class", "drm");
  mkdirSync(drm, { recursive: true });
  const device = ({ pci }: TreeCard) => join(root, "devices", "pci0000:c0", pci);
  const pathOf = (card: TreeCard, file: string) =>
    join(device(card), file.replace(/^hwmon\//, `${hwmonFolder}/`));
  const put = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" ? `${content}\n` : content);
  };
  const write = (card: TreeCard, file: string, content: string | Uint8Array) =>
    put(pathOf(card, file), content);
  const kfdNode = (node: number) =>
    join(root, "class", "kfd", "kfd", "topology", "nodes", `${node}`);
  const erase = (card: TreeCard, file: string) => rmSync(pathOf(card, file), { force: true });

  const add = (card: TreeCard) => {
    const { card: number, vendor = "0x1002", renderMinor, files = {}, hwmon = {} } = card;
    write(card, "vendor", vendor);
    for (const [file, content] of Object.entries(files)) write(card, file, content);
    for (const [file, text] of Object.entries(hwmon)) write(card, `hwmon/${file}`, text);
    const cardFolder = join(device(card), "drm", `card${number}`);
    mkdirSync(cardFolder, { recursive: true });
    symlinkSync("../..", join(cardFolder, "device"));
    symlinkSync(cardFolder, join(drm, `card${number}`));
    symlinkSync(join(cardFolder, "..", ".."), join(drm, `card${number}-DP-1`));
    if (renderMinor !== undefined)
      mkdirSync(join(device(card), "drm", `renderD${renderMinor}`), { recursive: true });
  };
  for (const card of cards) add(card);

  return {
    root,
    add,
    remove: (card) => {
      rmSync(device(card), { recursive: true });
      for (const name of [`card${card.card}`, `card${card.card}-DP-1`]) rmSync(join(drm, name));
    },
    write,
    addPartition: ({ name, renderMinor, table }) => {
      const folder = join(root, "devices", "platform", name);
      mkdirSync(join(folder, "drm", `renderD${renderMinor}`), { recursive: true });
      if (table !== undefined) put(join(folder, "xcp", "xcp_metrics"), table);
    },
    addKfdNode: (node, renderMinor, memoryBytes) => {
      put(join(kfdNode(node), "properties"), `simd_count 304\ndrm_render_minor ${renderMinor}`);
      const bank = `heap_type 1\nsize_in_bytes ${memoryBytes}\nflags 0`;
      put(join(kfdNode(node), "mem_banks", "0", "properties"), bank);
    },
    breakKfdNode: (node) => {
      const path = join(kfdNode(node), "properties");
      rmSync(path);
      symlinkSync("/proc/self/mem", path);
    },
    erase,
    tellVersion: (version) => {
      const folder = join(root, "module", "amdgpu");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "version"), `${version}\n`);
    },
    breakFile: (card, file) => {
      erase(card, file);
      symlinkSync("/proc/self/mem", pathOf(card, file));
    },
    breakFolder: (card) => {
      const folder = card === undefined ? drm : join(device(card), "hwmon");
      rmSync(folder, { recursive: true });
      symlinkSync(folder, folder);
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Like an Instinct MI300X: no `edge` sensor, no average power, and an id of its own. */
export const mi300: TreeCard = {
  card: 1,
  pci: "0000:c1:00.0",
  renderMinor: 128,
  files: {
    device: "0x74a1",
    product_name: "AMD Instinct MI300X OAM",
    unique_id: "9f3c0d1e2b4a5968",
    gpu_busy_percent: "87",
    mem_busy_percent: "41",
    mem_info_vram_used: "150323855360",
    mem_info_vram_total: "206141652992",
  },
  hwmon: {
    name: "amdgpu",
    temp2_label: "junction",
    temp2_input: "64000",
    temp3_label: "mem",
    temp3_input: "51000",
    power1_input: "612000000",
    power1_cap: "750000000",
    freq1_input: "2100000000",
    freq2_input: "1300000000",
  },
};

/** Like a Radeon: `edge` beside `junction`, and average power. */
export const radeon: TreeCard = {
  card: 0,
  pci: "0000:03:00.0",
  renderMinor: 129,
  files: {
    device: "0x744c",
    unique_id: "0000000000000000",
    gpu_busy_percent: "0",
    mem_info_vram_used: "27262976",
    mem_info_vram_total: "25753026560",
  },
  hwmon: {
    temp1_label: "edge",
    temp1_input: "38000",
    temp2_label: "junction",
    temp2_input: "45000",
    power1_average: "17000000",
    power1_cap: "303000000",
    energy1_input: "123456789",
  },
};

/** Without a folder of sensors, as in a virtual machine that shares the card with others. */
export const bareCard: TreeCard = {
  card: 2,
  pci: "0000:e1:00.0",
  files: { device: "0x74b5", gpu_busy_percent: "12" },
};

/** The display adapter of a server's management controller. */
export const displayAdapter: TreeCard = {
  card: 3,
  pci: "0000:02:00.0",
  vendor: "0x1a03",
  files: { gpu_busy_percent: "99" },
};
