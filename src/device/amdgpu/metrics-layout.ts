/**
 * Where the members of the kernel's `gpu_metrics` tables lie that are read, by the table's version.
 *
 * Source: Linux, drivers/gpu/drm/amd/include/kgd_pp_interface.h (`gpu_metrics_v1_0` to `v1_8`, `v2_0` to
 * `v2_4` and `v3_0`, `amdgpu_xcp_metrics` to `_v1_2`, `amdgpu_partition_metrics_v1_0`), as C aligns
 * them. A member whose unit the header does not tell, and the driver gives another way on each chip, is
 * left out: of APUs before 2.4 that is all, for temperature and activity come in hundredths on some.
 * Left out are also `average_mm_activity` before 1.4, which Arcturus and early Aldebaran fill with 0 for
 * want of a reading, `energy_accumulator` before 1.4, which has no unit there, and the activities of 2.4
 * and 3.0: the header gives those of 2.4 in hundredths and the driver's own sensor takes them for percent
 * (vangogh_ppt.c), those of 3.0 the other way round (smu_v14_0_0_ppt.c).
 *
 * From 1.9 on (of a partition from 1.1) a table is no struct: it is a list of attributes that say what
 * they are, which `metrics-table.ts` reads by the ids here.
 *
 * @module
 */

/** What is read of a table, in the unit of its name. */
export type QuantityName =
  | "gfxPercent"
  /** Of each compute die. */
  | "gfxEnginePercent"
  | "memoryPercent"
  | "edgeCelsius"
  | "hotspotCelsius"
  | "memoryCelsius"
  | "averageWatts"
  | "instantWatts"
  /** In 2^-16 J. */
  | "energyUnits"
  | "gfxMegahertz"
  | "memoryMegahertz"
  | "videoPercent"
  | "jpegPercent"
  | "partitionCount";

/** A member of a table: one number, or as many as there are engines. */
export interface Member {
  /** As the header has it. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: 2 | 4 | 8;
  readonly count: number;
  /** What the number is divided by to have the quantity's unit. */
  readonly divisor: number;
}

export type Members = { readonly [Name in QuantityName]?: Member };

export interface TableLayout {
  readonly sizeBytes: number;
  readonly members: Members;
  /** What the table has of each partition, one after the other. */
  readonly partitions?: PartitionsLayout;
}

interface PartitionsLayout {
  readonly name: string;
  readonly offset: number;
  readonly strideBytes: number;
  readonly count: number;
  /** Offsets are from the partition's begin. */
  readonly members: Members;
}

const member =
  (bytes: Member["bytes"]) =>
  (name: string, offset: number, { count = 1, divisor = 1 } = {}): Member => ({
    name,
    offset,
    bytes,
    count,
    divisor,
  });
const [u16, u32, u64] = [member(2), member(4), member(8)];

const ofGraphics10: Members = {
  edgeCelsius: u16("temperature_edge", 16),
  hotspotCelsius: u16("temperature_hotspot", 18),
  memoryCelsius: u16("temperature_mem", 20),
  gfxPercent: u16("average_gfx_activity", 28),
  memoryPercent: u16("average_umc_activity", 30),
  averageWatts: u16("average_socket_power", 34),
  gfxMegahertz: u16("current_gfxclk", 54),
  memoryMegahertz: u16("current_uclk", 58),
};

const ofGraphics: Members = {
  edgeCelsius: u16("temperature_edge", 4),
  hotspotCelsius: u16("temperature_hotspot", 6),
  memoryCelsius: u16("temperature_mem", 8),
  gfxPercent: u16("average_gfx_activity", 16),
  memoryPercent: u16("average_umc_activity", 18),
  averageWatts: u16("average_socket_power", 22),
  gfxMegahertz: u16("current_gfxclk", 54),
  memoryMegahertz: u16("current_uclk", 58),
};

/** Of Instinct from MI300 on: the first members are alike, and so are all their units. */
const ofInstinct: Members = {
  hotspotCelsius: u16("temperature_hotspot", 4),
  memoryCelsius: u16("temperature_mem", 6),
  instantWatts: u16("curr_socket_power", 10),
  gfxPercent: u16("average_gfx_activity", 12),
  memoryPercent: u16("average_umc_activity", 14),
};
const ofInstinct17: Members = {
  ...ofInstinct,
  energyUnits: u64("energy_accumulator", 24),
  gfxMegahertz: u16("current_gfxclk", 296, { count: 8 }),
  memoryMegahertz: u16("current_uclk", 336),
  partitionCount: u16("num_partition", 338),
};

const ofPartition: Members = {
  gfxEnginePercent: u32("gfx_busy_inst", 0, { count: 8 }),
  jpegPercent: u16("jpeg_busy", 32, { count: 32 }),
  videoPercent: u16("vcn_busy", 96, { count: 4 }),
};
const ofPartition12: Members = {
  ...ofPartition,
  jpegPercent: u16("jpeg_busy", 32, { count: 40 }),
  videoPercent: u16("vcn_busy", 112, { count: 4 }),
};

const partitionsAt = (offset: number, strideBytes: number, members: Members): PartitionsLayout => ({
  name: "xcp_stats",
  offset,
  strideBytes,
  count: 8,
  members,
});

/** By `<format revision>.<content revision>`. */
export const cardLayouts: Readonly<Record<string, TableLayout>> = {
  "1.0": { sizeBytes: 80, members: ofGraphics10 },
  "1.1": { sizeBytes: 96, members: ofGraphics },
  "1.2": { sizeBytes: 104, members: ofGraphics },
  "1.3": { sizeBytes: 120, members: ofGraphics },
  "1.4": {
    sizeBytes: 288,
    members: {
      ...ofInstinct,
      videoPercent: u16("vcn_activity", 16, { count: 4 }),
      energyUnits: u64("energy_accumulator", 24),
      gfxMegahertz: u16("current_gfxclk", 240, { count: 8 }),
      memoryMegahertz: u16("current_uclk", 280),
    },
  },
  "1.5": {
    sizeBytes: 360,
    members: {
      ...ofInstinct,
      videoPercent: u16("vcn_activity", 16, { count: 4 }),
      jpegPercent: u16("jpeg_activity", 24, { count: 32 }),
      energyUnits: u64("energy_accumulator", 88),
      gfxMegahertz: u16("current_gfxclk", 312, { count: 8 }),
      memoryMegahertz: u16("current_uclk", 352),
    },
  },
  "1.6": {
    sizeBytes: 1664,
    members: {
      ...ofInstinct,
      energyUnits: u64("energy_accumulator", 16),
      gfxMegahertz: u16("current_gfxclk", 264, { count: 8 }),
      memoryMegahertz: u16("current_uclk", 304),
      partitionCount: u16("num_partition", 306),
    },
    partitions: partitionsAt(312, 168, ofPartition),
  },
  "1.7": {
    sizeBytes: 2208,
    members: ofInstinct17,
    partitions: partitionsAt(344, 232, ofPartition),
  },
  "1.8": {
    sizeBytes: 3872,
    members: ofInstinct17,
    partitions: partitionsAt(344, 440, ofPartition12),
  },
  "2.0": { sizeBytes: 120, members: {} },
  "2.1": { sizeBytes: 120, members: {} },
  "2.2": { sizeBytes: 128, members: {} },
  "2.3": { sizeBytes: 152, members: {} },
  "2.4": {
    sizeBytes: 168,
    members: {
      edgeCelsius: u16("temperature_gfx", 4, { divisor: 100 }),
      averageWatts: u16("average_socket_power", 40, { divisor: 1000 }),
      gfxMegahertz: u16("current_gfxclk", 76),
      memoryMegahertz: u16("current_uclk", 80),
    },
  },
  "3.0": {
    sizeBytes: 264,
    members: {
      averageWatts: u32("average_socket_power", 112, { divisor: 1000 }),
      gfxMegahertz: u16("average_gfxclk_frequency", 174),
      memoryMegahertz: u16("average_uclk_frequency", 186),
    },
  },
};

/** Of the file `xcp_metrics` that newer kernels have for each partition. */
export const partitionLayouts: Readonly<Record<string, TableLayout>> = {
  "1.0": {
    sizeBytes: 488,
    members: {
      gfxMegahertz: u16("current_gfxclk", 4, { count: 8 }),
      gfxEnginePercent: u32("gfx_busy_inst", 48, { count: 8 }),
      jpegPercent: u16("jpeg_busy", 80, { count: 40 }),
      videoPercent: u16("vcn_busy", 160, { count: 4 }),
    },
  },
};

/** Versions that are lists of attributes. */
export const attributeVersions = { card: "1.9", partition: "1.1" } as const;

interface Attribute {
  readonly quantity: QuantityName;
  /** Which unit the attribute must say that it has, of `amdgpu_metrics_attr_unit`. */
  readonly unit: number;
}

const [noUnit, inMegahertz, inCelsius, inWatts, inPercent] = [0, 1, 2, 3, 10];

/** By the id of `amdgpu_metrics_attr_id`; what they count is as in table 1.8. */
export const attributes: ReadonlyMap<number, Attribute> = new Map([
  [0, { quantity: "hotspotCelsius", unit: inCelsius }],
  [1, { quantity: "memoryCelsius", unit: inCelsius }],
  [3, { quantity: "instantWatts", unit: inWatts }],
  [4, { quantity: "gfxPercent", unit: inPercent }],
  [5, { quantity: "memoryPercent", unit: inPercent }],
  [7, { quantity: "energyUnits", unit: noUnit }],
  [33, { quantity: "gfxMegahertz", unit: inMegahertz }],
  [37, { quantity: "memoryMegahertz", unit: inMegahertz }],
  [38, { quantity: "partitionCount", unit: noUnit }],
  [40, { quantity: "gfxEnginePercent", unit: inPercent }],
  [41, { quantity: "jpegPercent", unit: inPercent }],
  [42, { quantity: "videoPercent", unit: inPercent }],
] as const);
