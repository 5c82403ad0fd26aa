/**
 * The structs of kgd_pp_interface.h, member by member as the header lists them, and tables made of them.
 *
 * Offsets come of C's rule: a member lies at the next multiple of its size, a struct is as long as a
 * multiple of its largest member.
 *
 * @module
 */
const sizes = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;
type Scalar = keyof typeof sizes;

const graphicsHead = `u16 temperature_edge temperature_hotspot temperature_mem temperature_vrgfx
  temperature_vrsoc temperature_vrmem average_gfx_activity average_umc_activity average_mm_activity
  average_socket_power`;
const graphicsClocks = `u16 average_gfxclk_frequency average_socclk_frequency average_uclk_frequency
  average_vclk0_frequency average_dclk0_frequency average_vclk1_frequency average_dclk1_frequency
  current_gfxclk current_socclk current_uclk current_vclk0 current_dclk0 current_vclk1 current_dclk1
  u32 throttle_status u16 current_fan_speed`;
const graphics11 = `${graphicsHead} u64 energy_accumulator system_clock_counter ${graphicsClocks}
  pcie_link_width pcie_link_speed padding u32 gfx_activity_acc mem_activity_acc u16 temperature_hbm[4]`;
const graphics12 = `${graphics11} u64 firmware_timestamp`;

const instinctHead = `u16 temperature_hotspot temperature_mem temperature_vrsoc curr_socket_power
  average_gfx_activity average_umc_activity`;
const counters = "u64 energy_accumulator system_clock_counter";
const lock = "u32 throttle_status gfxclk_lock_status";
const residencies = `u32 accumulation_counter prochot_residency_acc ppt_residency_acc
  socket_thm_residency_acc vr_thm_residency_acc hbm_thm_residency_acc gfxclk_lock_status`;
const links = `u16 pcie_link_width pcie_link_speed xgmi_link_width xgmi_link_speed
  u32 gfx_activity_acc mem_activity_acc u64 pcie_bandwidth_acc pcie_bandwidth_inst
  pcie_l0_to_recov_count_acc pcie_replay_count_acc pcie_replay_rover_count_acc`;
const naks = "u32 pcie_nak_sent_count_acc pcie_nak_rcvd_count_acc";
const xgmi = "u64 xgmi_read_data_acc[8] xgmi_write_data_acc[8]";
const clocks = `u64 firmware_timestamp u16 current_gfxclk[8] current_socclk[4] current_vclk0[4]
  current_dclk0[4] current_uclk`;
const instinct17 = `${instinctHead} u64 mem_max_bandwidth ${counters} ${residencies} ${links} ${naks}
  ${xgmi} u16 xgmi_link_status[8] padding ${clocks} num_partition`;
const recovery = "u32 pcie_lc_perf_other_end_recovery";

const apuHead = `u16 temperature_gfx temperature_soc temperature_core[8] temperature_l3[2]
  average_gfx_activity average_mm_activity`;
const apuRest = `u16 average_socket_power average_cpu_power average_soc_power average_gfx_power
  average_core_power[8] average_gfxclk_frequency average_socclk_frequency average_uclk_frequency
  average_fclk_frequency average_vclk_frequency average_dclk_frequency current_gfxclk current_socclk
  current_uclk current_fclk current_vclk current_dclk current_coreclk[8] current_l3clk[2]
  u32 throttle_status u16 fan_pwm`;
const apu21 = `${apuHead} u64 system_clock_counter ${apuRest} padding[3]`;
const apu22 = `${apu21} u64 indep_throttle_status`;
const apu23 = `${apu22} u16 average_temperature_gfx average_temperature_soc
  average_temperature_core[8] average_temperature_l3[2]`;

const accumulators =
  "gfx_below_host_limit_ppt_acc[8] gfx_below_host_limit_thm_acc[8] gfx_low_utilization_acc[8] gfx_below_host_limit_total_acc[8]";
const busy = "u32 gfx_busy_inst[8] u16 jpeg_busy[32] vcn_busy[4] u64 gfx_busy_acc[8]";
const busy12 = `u32 gfx_busy_inst[8] u16 jpeg_busy[40] vcn_busy[4] u64 gfx_busy_acc[8] ${accumulators}`;

/** `amdgpu_xcp_metrics` by the version of the table that has eight of them. */
const partitionStructs: Readonly<Record<string, string>> = {
  "1.6": busy,
  "1.7": `${busy} gfx_below_host_limit_acc[8]`,
  "1.8": busy12,
};

const cardStructs: Readonly<Record<string, string>> = {
  "1.0": `u64 system_clock_counter ${graphicsHead} u32 energy_accumulator ${graphicsClocks}
    u8 pcie_link_width pcie_link_speed`,
  "1.1": graphics11,
  "1.2": graphics12,
  "1.3": `${graphics12} u16 voltage_soc voltage_gfx voltage_mem padding1 u64 indep_throttle_status`,
  "1.4": `${instinctHead} vcn_activity[4] ${counters} ${lock} ${links} ${xgmi} ${clocks} padding`,
  "1.5": `${instinctHead} vcn_activity[4] jpeg_activity[32] ${counters} ${lock} ${links} ${naks} ${xgmi}
    ${clocks} padding`,
  "1.6": `${instinctHead} ${counters} ${residencies} ${links} ${naks} ${xgmi} ${clocks} num_partition
    xcp xcp_stats[8] ${recovery}`,
  "1.7": `${instinct17} xcp xcp_stats[8] ${recovery}`,
  "1.8": `${instinct17} xcp xcp_stats[8] ${recovery}`,
  "2.0": `u64 system_clock_counter ${apuHead} ${apuRest} padding`,
  "2.1": apu21,
  "2.2": apu22,
  "2.3": apu23,
  "2.4": `${apu23} average_cpu_voltage average_soc_voltage average_gfx_voltage average_cpu_current
    average_soc_current average_gfx_current`,
  "3.0": `u16 temperature_gfx temperature_soc temperature_core[16] temperature_skin
    average_gfx_activity average_vcn_activity average_ipu_activity[8] average_core_c0_activity[16]
    average_dram_reads average_dram_writes average_ipu_reads average_ipu_writes
    u64 system_clock_counter u32 average_socket_power u16 average_ipu_power
    u32 average_apu_power average_gfx_power average_dgpu_power average_all_core_power
    u16 average_core_power[16] average_sys_power stapm_power_limit current_stapm_power_limit
    average_gfxclk_frequency average_socclk_frequency average_vpeclk_frequency
    average_ipuclk_frequency average_fclk_frequency average_vclk_frequency average_uclk_frequency
    average_mpipu_frequency current_coreclk[16] current_core_maxfreq current_gfx_maxfreq
    u32 throttle_residency_prochot throttle_residency_spl throttle_residency_fppt
    throttle_residency_sppt throttle_residency_thm_core throttle_residency_thm_gfx
    throttle_residency_thm_soc time_filter_alphavalue`,
};

export interface Place {
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
}
export interface Struct {
  readonly sizeBytes: number;
  readonly places: ReadonlyMap<string, Place>;
}

const header = "u16 structure_size u8 format_revision content_revision";

export function cardStruct(version: string): Struct {
  return struct(`${header} ${cardStructs[version]}`, partitionStruct(version));
}

export function partitionStruct(version: string): Struct {
  return struct(partitionStructs[version] ?? "");
}

/** `amdgpu_partition_metrics_v1_0`. */
export const partitionFileStruct = struct(
  `${header} u16 current_gfxclk[8] current_socclk[4] current_vclk0[4] current_dclk0[4] current_uclk
    padding ${busy12}`,
);

export const cardVersions = Object.keys(cardStructs);

function struct(text: string, inner?: Struct): Struct {
  const places = new Map<string, Place>();
  let [end, widest, bytes, align] = [0, 1, 1, 1];
  for (const word of text.split(/\s+/)) {
    if (Object.hasOwn(sizes, word)) {
      bytes = sizes[word as Scalar];
      align = bytes;
    } else if (word === "xcp" && inner !== undefined) {
      bytes = inner.sizeBytes;
      align = sizes.u64;
    } else if (word !== "") {
      const [, name = "", count = "1"] = /^(\w+)(?:\[(\d+)\])?$/.exec(word) ?? [];
      const offset = roundUp(end, align);
      places.set(name, { offset, bytes, count: Number(count) });
      end = offset + bytes * Number(count);
      widest = Math.max(widest, align);
    }
  }
  return { sizeBytes: roundUp(end, widest), places };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

type Values = Readonly<Record<string, number | readonly number[]>>;

/** A table with the members that are named; the others are ones, as the driver leaves them. */
export function cardTable(
  version: string,
  values: Values,
  partitions: readonly Values[] = [],
): Uint8Array {
  const shape = cardStruct(version);
  const bytes = headed(version, shape.sizeBytes);
  put(bytes, 0, shape, values);
  const stats = shape.places.get("xcp_stats");
  for (const [number, one] of partitions.entries())
    if (stats !== undefined)
      put(bytes, stats.offset + number * stats.bytes, partitionStruct(version), one);
  return bytes;
}

export function partitionTable(values: Values): Uint8Array {
  const bytes = headed("1.0", partitionFileStruct.sizeBytes);
  put(bytes, 0, partitionFileStruct, values);
  return bytes;
}

function headed(version: string, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes).fill(0xff);
  const [format = 0, content = 0] = version.split(".").map(Number);
  bytes.set([sizeBytes & 0xff, sizeBytes >> 8, format, content]);
  return bytes;
}

function put(bytes: Uint8Array, base: number, { places }: Struct, values: Values): void {
  for (const [name, value] of Object.entries(values)) {
    const place = places.get(name);
    if (place === undefined) throw new Error(`No member ${name}`);
    for (const [at, one] of [value].flat().entries())
      putNumber(bytes, base + place.offset + at * place.bytes, place.bytes, one);
  }
}

function putNumber(bytes: Uint8Array, at: number, width: number, value: number): void {
  const little = new Uint8Array(8);
  new DataView(little.buffer).setBigUint64(0, BigInt(value), true);
  bytes.set(little.subarray(0, width), at);
}

/** One attribute of a table that is a list of them. */
export interface TableAttribute {
  readonly unit: number;
  readonly type: number;
  readonly id: number;
  readonly values: readonly number[];
}

const typeBytes = [1, 1, 2, 2, 4, 4, 8, 8];

/** Packed, as the driver has it. */
export function attributeTable(version: string, list: readonly TableAttribute[]): Uint8Array {
  const widths = list.map(({ type, values }) => 8 + (typeBytes[type] ?? 0) * values.length);
  const bytes = headed(version, 8 + widths.reduce((sum, width) => sum + width, 0));
  putNumber(bytes, 4, 4, list.length);
  let at = 8;
  for (const { unit, type, id, values } of list) {
    putNumber(bytes, at, 8, unit * 2 ** 24 + type * 2 ** 20 + id * 2 ** 10 + values.length);
    at += 8;
    const width = typeBytes[type] ?? 0;
    for (const value of values) {
      putNumber(bytes, at, width, value);
      at += width;
    }
  }
  return bytes;
}
