/**
 * Drives the NVML stand-in from a test, in this process or in another one.
 *
 * @module
 */
import { dlopen, FFIType } from "bun:ffi";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildStandin, type Variant } from "./build.ts";

/** A MIG instance; what is not named is that of an eighth of a GPU. */
export interface StandinInstance {
  readonly gpuInstance: number;
  readonly computeInstance?: number;
  readonly profile?: number;
  readonly placementStart?: number;
  readonly slices?: readonly [ofGpuInstance: number, ofComputeInstance: number];
  readonly totalMib?: number;
  readonly usedMib?: number;
  /** GPM's metric 1, in percent; half of it is metric 2. */
  readonly busyPercent?: number;
  /** By GPM's metric, a video engine of its own: percent, or what the driver answers for it. */
  readonly engines?: Readonly<Record<number, number | { readonly returnCode: number }>>;
}

/** What the driver reports of a GPU; it is given out once for each serial, which rises. */
export interface StandinEvent {
  readonly serial: number;
  /** 8 an XID, 0x100 a change of MIG. */
  readonly type: number;
  /** The XID. */
  readonly data?: number;
  /** The GPU instance where it happened (none). */
  readonly gpuInstance?: number;
}

/** A process of a GPU; what is not named is 0, and a process is of kind `Compute`. */
export interface StandinProcess {
  readonly pid: number;
  /** The list that has it; `None` has only been busy. */
  readonly kind?: "Compute" | "MPSCompute" | "Graphics" | "None";
  /** All ones when it is a BigInt of that: what the driver writes where it does not know. */
  readonly memoryBytes?: number | bigint;
  readonly smPercent?: number;
  readonly memoryPercent?: number;
  readonly encoderPercent?: number;
  readonly decoderPercent?: number;
  /** When the driver sampled it, in µs (1). */
  readonly timeStamp?: number;
}

/** Settings of one GPU, in NVML's own units; what is not named has nvml.c's default. */
export interface StandinGpu {
  readonly uuid?: string;
  readonly name?: string;
  readonly bus?: string;
  readonly minor?: number;
  readonly computeCapability?: readonly [major: number, minor: number];
  /** False takes it off the driver's list. */
  readonly listed?: boolean;
  /** What every call on it answers: 15 for a lost GPU, 16 for one that needs a reset. */
  readonly state?: number;
  readonly utilizationPercent?: number;
  readonly memoryUtilizationPercent?: number;
  readonly totalBytes?: number;
  readonly reservedBytes?: number;
  readonly freeBytes?: number;
  readonly temperatureCelsius?: number;
  /** What `nvmlDeviceGetPowerUsage` says; fields 185 and 186 go before it. */
  readonly powerMilliwatts?: number;
  readonly powerLimitMilliwatts?: number;
  readonly smClockMegahertz?: number;
  readonly memoryClockMegahertz?: number;
  readonly encoderPercent?: number;
  readonly decoderPercent?: number;
  readonly jpegPercent?: number;
  readonly ofaPercent?: number;
  readonly reasonsMask?: number;
  readonly performanceState?: number;
  readonly eccMode?: 0 | 1;
  readonly eccCorrected?: number;
  readonly eccUncorrected?: number;
  readonly mig?: 0 | 1;
  /** By the driver's index; undefined is a hole. */
  readonly instances?: readonly (StandinInstance | undefined)[];
  readonly events?: readonly StandinEvent[];
  /** A mask of the types that it supports. */
  readonly eventTypes?: number;
  readonly registerReturnCode?: number;
  /** What the driver answers who asks for an instance's profile. */
  readonly migInfoReturnCode?: number;
  /** What it answers, with `mig`, who asks for the whole GPU's memory. */
  readonly migMemoryReturnCode?: number;
  readonly hasGpm?: boolean;
  /** One that is there twice has been sampled twice. */
  readonly processes?: readonly StandinProcess[];
  readonly pcieTxKilobytesPerSecond?: number;
  readonly pcieRxKilobytesPerSecond?: number;
  /** By field id: 82 memory °C, 83 mJ, 185 and 186 mW, 138 and 139 KiB. */
  readonly fields?: Readonly<Record<number, number>>;
  readonly fieldReturnCodes?: Readonly<Record<number, number>>;
  readonly fieldTypes?: Readonly<Record<number, number>>;
  /** 1: the field answers 0 and its value is not written. */
  readonly fieldMutes?: Readonly<Record<number, 0 | 1>>;
  /** By metric id: percent, or MiB/s from 20 on. */
  readonly gpm?: Readonly<Record<number, number>>;
  readonly gpmReturnCodes?: Readonly<Record<number, number>>;
  /** What single functions answer for it. */
  readonly returnCodes?: Readonly<Record<string, number>>;
}

export interface StandinState {
  /** How many there are, or each one's settings (8). */
  readonly gpus?: number | readonly StandinGpu[];
  /** Settings of all GPUs, before each one's own. */
  readonly each?: StandinGpu;
  readonly order?: "forward" | "reverse";
  readonly driver?: "loaded" | "unloaded" | "upgraded";
  readonly initReturnCode?: number;
  /** What every function but init and shutdown answers. */
  readonly allReturnCode?: number;
  readonly returnCodes?: Readonly<Record<string, number>>;
  readonly sleepMs?: Readonly<Record<string, number>>;
  /** Functions that answer 0 and write nothing. */
  readonly mute?: readonly string[];
  /** How long the entries of lists of processes are, whatever their symbol says. */
  readonly processEntryBytes?: Readonly<Record<string, number>>;
  /** Another number voids all handles that were given out before (0). */
  readonly handles?: number;
  /** Functions that do not return before a later `set` leaves them out. */
  readonly hang?: readonly string[];
}

export interface Standin {
  readonly libraryPath: string;
  /** For the environment of a process that loads the library. */
  readonly env: { readonly NVML_STANDIN_CONTROL: string };
  /** Replaces everything set before; a running process sees it on its next call. */
  readonly set: (state: StandinState) => void;
  /** Calls so far, by symbol, over all processes. */
  readonly calls: () => ReadonlyMap<string, number>;
  readonly forgetCalls: () => void;
  /** Makes the library in this process play the control file, whatever the environment says. */
  readonly attach: () => void;
  readonly remove: () => void;
}

const keys = {
  uuid: "uuid",
  name: "name",
  bus: "bus",
  minor: "minor",
  state: "state",
  utilizationPercent: "util",
  memoryUtilizationPercent: "memory-util",
  totalBytes: "total",
  reservedBytes: "reserved",
  freeBytes: "free",
  temperatureCelsius: "temperature",
  powerMilliwatts: "power",
  powerLimitMilliwatts: "limit",
  smClockMegahertz: "sm-clock",
  memoryClockMegahertz: "memory-clock",
  encoderPercent: "encoder",
  decoderPercent: "decoder",
  jpegPercent: "jpeg",
  ofaPercent: "ofa",
  reasonsMask: "reasons",
  performanceState: "pstate",
  eccMode: "ecc-mode",
  eccCorrected: "ecc-corrected",
  eccUncorrected: "ecc-uncorrected",
  mig: "mig",
  migInfoReturnCode: "mig-info",
  migMemoryReturnCode: "mig-memory",
  eventTypes: "event-types",
  registerReturnCode: "register-rc",
  pcieTxKilobytesPerSecond: "pcie-tx",
  pcieRxKilobytesPerSecond: "pcie-rx",
} as const satisfies Partial<Record<keyof StandinGpu, string>>;

/**
 * Makes a stand-in of its own: the library is copied, so that two in one process share no state.
 */
export async function nvmlStandin({
  variant = "full",
  logsCalls = true,
}: {
  readonly variant?: Variant;
  /** False where calls are not counted: writing each of them down takes longer than it does. */
  readonly logsCalls?: boolean;
} = {}): Promise<Standin> {
  const built = await buildStandin(variant);
  const folder = await mkdtemp(join(tmpdir(), "nvml-standin-"));
  const libraryPath = join(folder, "libnvidia-ml.so.1");
  copyFileSync(built, libraryPath);
  const control = join(folder, "control");
  const log = join(folder, "calls");

  const set = (state: StandinState) => {
    writeFileSync(`${control}.next`, controlFile(state, logsCalls ? log : undefined));
    renameSync(`${control}.next`, control);
  };
  set({});

  return {
    libraryPath,
    env: { NVML_STANDIN_CONTROL: control },
    set,
    calls: () => {
      const counts = new Map<string, number>();
      const lines = existsSync(log) ? readFileSync(log, "utf8").split("\n") : [];
      for (const symbol of lines)
        if (symbol !== "") counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
      return counts;
    },
    forgetCalls: () => rmSync(log, { force: true }),
    attach: () => {
      const { symbols } = dlopen(libraryPath, {
        nvmlStandinControl: { args: [FFIType.cstring], returns: FFIType.void },
      });
      symbols.nvmlStandinControl(Buffer.from(`${control}\0`));
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function controlFile(state: StandinState, log: string | undefined): string {
  const { gpus = 8, each = {} } = state;
  const count = typeof gpus === "number" ? gpus : gpus.length;
  const logging = log === undefined ? [] : [`log ${log}`];
  const lines = [`gpus ${count}`, ...logging, ...gpuLines("*", each)];
  if (typeof gpus !== "number")
    lines.push(...gpus.flatMap((gpu, index) => gpuLines(String(index), gpu)));
  const words = {
    order: state.order,
    driver: state.driver,
    init: state.initReturnCode,
    all: state.allReturnCode,
    handles: state.handles,
  };
  for (const [word, value] of Object.entries(words))
    if (value !== undefined) lines.push(`${word} ${value}`);
  const bySymbol = {
    rc: state.returnCodes,
    sleep: state.sleepMs,
    "process-entry": state.processEntryBytes,
  };
  for (const [word, table] of Object.entries(bySymbol))
    for (const [symbol, value] of Object.entries(table ?? {}))
      lines.push(`${word} ${symbol} ${value}`);
  for (const symbol of state.mute ?? []) lines.push(`mute ${symbol}`);
  for (const symbol of state.hang ?? []) lines.push(`hang ${symbol}`);
  return `${lines.join("\n")}\n`;
}

function gpuLines(which: string, gpu: StandinGpu): string[] {
  const settings: [key: string, value: string | number][] = (gpu.processes ?? []).map((one) => [
    `process:${one.pid}`,
    processSetting(one),
  ]);
  for (const [name, key] of Object.entries(keys)) {
    const value = gpu[name as keyof typeof keys];
    if (value !== undefined) settings.push([key, value]);
  }
  if (gpu.listed !== undefined) settings.push(["listed", Number(gpu.listed)]);
  if (gpu.hasGpm !== undefined) settings.push(["gpm", Number(gpu.hasGpm)]);
  if (gpu.computeCapability !== undefined)
    settings.push(["major-cc", gpu.computeCapability[0]], ["minor-cc", gpu.computeCapability[1]]);
  settings.push(...instanceSettings(gpu));
  settings.push(...(gpu.events ?? []).map(eventSetting));
  const tables = {
    field: gpu.fields,
    "field-rc": gpu.fieldReturnCodes,
    "field-type": gpu.fieldTypes,
    "field-mute": gpu.fieldMutes,
    gpm: gpu.gpm,
    "gpm-rc": gpu.gpmReturnCodes,
    rc: gpu.returnCodes,
  };
  for (const [prefix, table] of Object.entries(tables))
    for (const [id, value] of Object.entries(table ?? {}))
      settings.push([`${prefix}:${id}`, value]);
  return settings.map(([key, value]) => `gpu ${which} ${key} ${value}`);
}

function eventSetting({ serial, type, data = 0, gpuInstance = -1 }: StandinEvent) {
  return [`event:${serial}`, `${type} ${data} ${gpuInstance}`] as [string, string];
}

function instanceSettings({ instances = [] }: StandinGpu): [string, string][] {
  return instances.flatMap((instance, index): [string, string][] =>
    instance === undefined
      ? []
      : [[`mig:${index}`, instanceSetting(instance)], ...engineSettings(index, instance)],
  );
}

function engineSettings(index: number, { engines = {} }: StandinInstance): [string, string][] {
  return Object.entries(engines).map(([id, engine]) => {
    const [value, code] = typeof engine === "number" ? [engine, 0] : [0, engine.returnCode];
    return [`mig-gpm:${index}`, `${id} ${value} ${code}`];
  });
}

function instanceSetting(instance: StandinInstance): string {
  const { gpuInstance, computeInstance = 0, profile = 19, placementStart = 0 } = instance;
  const { slices = [1, 1], totalMib = 9728, usedMib = 1000, busyPercent = 0 } = instance;
  const numbers = [gpuInstance, computeInstance, profile, placementStart, ...slices];
  return [...numbers, totalMib, usedMib, busyPercent].join(" ");
}

function processSetting(process: StandinProcess): string {
  const { kind = "Compute", memoryBytes = 0, timeStamp = 1 } = process;
  const { smPercent = 0, memoryPercent = 0, encoderPercent = 0, decoderPercent = 0 } = process;
  const percents = [smPercent, memoryPercent, encoderPercent, decoderPercent];
  return [kind, memoryBytes, ...percents, timeStamp].join(" ");
}
