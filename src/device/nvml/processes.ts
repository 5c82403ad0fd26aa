/**
 * The processes of one GPU, and what each of them uses.
 *
 * Which memory belongs to whom is told by lists, one for each kind of process; how busy whom keeps the
 * GPU by another call, which knows only processes that did something. The driver samples which process
 * an engine works for a few times a second, and names one: of time-sliced processes that is a poll and
 * no account, so it is asked for the last `processWindowMs`.
 *
 * Process ids are the node's own, whatever namespace this process lives in.
 *
 * Source: nvml.h of CUDA 11.0 to 13.3
 *
 * @module
 */
import { processesMax, processRoomToSpare, processWindowMs, slowReadingsMs } from "#core/limits.ts";
import { type DeviceProcess, type UseName, useRanges } from "#metric/device-use.ts";
import { isWithin } from "#metric/reading.ts";
import type { Api } from "./api.ts";
import type { DevicePass } from "./device-call.ts";
import {
  layouts,
  type NativeMemory,
  nativeMemory,
  poisonByte,
  readU32,
  readU64,
} from "./layout.ts";
import type { NativeFunction } from "./library.ts";
import { type Refusal, refusalOf } from "./return-code.ts";

export interface ProcessesResult {
  /** Absent where neither call was answered. */
  readonly processes: readonly DeviceProcess[] | undefined;
  readonly refusals: readonly Refusal[];
}

export interface ProcessReader {
  /** @throws {Fault} `library-failed` when the session is over. */
  readonly read: (pass: DevicePass) => ProcessesResult;
}

/** Linux gives no larger process id (`PID_MAX_LIMIT`). */
const processIdMost = 4_194_304;
const isPid = (pid: number) => pid >= 1 && pid <= processIdMost;

const kinds = ["Compute", "MPSCompute", "Graphics"] as const;
/** The newest first; the name without a number is the oldest. */
const versions = ["_v3", "_v2", ""] as const;

/**
 * Sizes of a list's entry. Drivers 535.43 to 535.86 write 32 bytes for `_v3`, where nvml.h has 24, and
 * one of branch 550 was found to write 16: the name of the function does not tell.
 *
 * Source: https://github.com/XuehaiPan/nvitop/issues/88, and pull requests 79, 89 and 226 there
 */
const entrySizes: readonly number[] = [16, 24, 32];
const processEntryBytesMost = 32;

/** Functions and memory that all GPUs of a library share. */
export interface ProcessApi {
  /** By kind of process, each in order of preference. */
  readonly lists: readonly (readonly ListSymbol[])[];
  readonly utilization: NativeFunction;
  /** Where a call reads how much room there is, and leaves how many entries it has. */
  readonly count: NativeMemory;
  /** With room for so many entries, none of them written. */
  readonly entries: (count: number) => NativeMemory;
}
interface ListSymbol {
  readonly symbol: string;
  readonly call: NativeFunction;
}

const utilizationSymbol = "nvmlDeviceGetProcessUtilization";

export function bindProcesses({ bind, memory }: Api): ProcessApi {
  const lists = kinds.map((kind) =>
    versions.map((version): ListSymbol => {
      const symbol = `nvmlDeviceGet${kind}RunningProcesses${version}`;
      return { symbol, call: bind(symbol, ["pointer", "pointer", "pointer"]) };
    }),
  );
  const entries = nativeMemory(processesMax * processEntryBytesMost);
  return {
    lists,
    utilization: bind(utilizationSymbol, ["pointer", "pointer", "pointer", "unsigned-64"]),
    count: memory,
    entries: (count) => {
      entries.poison(count * processEntryBytesMost);
      return entries;
    },
  };
}

/** Of what a call has when it succeeds: entries, which lie in the shared memory until the next call. */
interface Listed {
  readonly view: DataView;
  readonly count: number;
  /** How many there was room for. */
  readonly room: number;
}

/** What was not answered; absent a refusal, what was written makes no sense. */
interface Unread {
  readonly refusal: Refusal | undefined;
}

export function processReader(api: ProcessApi): ProcessReader {
  const lists = kinds.map((_, at) => listReader(api, api.lists[at] ?? []));
  const utilization = utilizationReader(api);
  let memory: ReadonlyMap<number, number | undefined> | Unread = { refusal: undefined };
  let memoryDueMs = 0;

  return {
    read: (pass) => {
      const refusals: Refusal[] = [];
      if (pass.atMs >= memoryDueMs) {
        memoryDueMs = pass.atMs + slowReadingsMs;
        memory = memoryOf(lists, pass);
        if (isUnread(memory) && memory.refusal !== undefined) refusals.push(memory.refusal);
      }
      const busy = utilization(pass);
      if (isUnread(busy) && busy.refusal !== undefined) refusals.push(busy.refusal);
      return { processes: joined(memory, busy), refusals };
    },
  };
}

function isUnread(read: ReadonlyMap<number, unknown> | Listed | Unread): read is Unread {
  return "refusal" in read;
}

/** A process that one of the answers does not name uses nothing of what that one tells. */
function joined(
  memory: ReadonlyMap<number, number | undefined> | Unread,
  busy: ReadonlyMap<number, Busy> | Unread,
): readonly DeviceProcess[] | undefined {
  if (isUnread(memory) && isUnread(busy)) return undefined;
  const pids = new Set([...pidsOf(memory), ...pidsOf(busy)]);
  return [...pids].map((pid) => ({
    pid,
    ...(isUnread(memory) ? {} : present("memoryUsedBytes", memory.has(pid) ? memory.get(pid) : 0)),
    ...(isUnread(busy) ? {} : (busy.get(pid) ?? idle)),
  }));
}

function pidsOf(read: ReadonlyMap<number, unknown> | Unread): Iterable<number> {
  return isUnread(read) ? [] : read.keys();
}

function present(name: UseName, value: number | undefined): { [Name in UseName]?: number } {
  return value === undefined || !isWithin(useRanges[name], value) ? {} : { [name]: value };
}

/** `undefined`: the device or the driver has no processes of that kind. */
type ListReader = (pass: DevicePass) => Listed | Unread | undefined;

/** One kind of process; it falls to the next function where the driver lacks one. */
function listReader(api: ProcessApi, symbols: readonly ListSymbol[]): ListReader {
  let position = 0;
  let room = processRoomToSpare;
  return ({ device }) => {
    for (; position < symbols.length; position += 1) {
      const { symbol, call } = symbols[position] as ListSymbol;
      const read = listed(api, symbol, room, (count, entries) => call(device, count, entries));
      if (!isUnread(read)) room = Math.min(read.count + processRoomToSpare, processesMax);
      if (isUnread(read) && read.refusal?.returnCode === functionNotFound) continue;
      return isUnread(read) && read.refusal?.returnCode === notSupported ? undefined : read;
    }
    return undefined;
  };
}

/** Calls, with more room at once when there was too little. */
function listed(
  api: ProcessApi,
  symbol: string,
  firstRoom: number,
  call: (count: number, entries: number) => number,
): Listed | Unread {
  let room = firstRoom;
  for (;;) {
    const { view, address } = api.entries(room);
    api.count.view.setUint32(0, room, true);
    const returnCode = call(api.count.address, address);
    const count = readU32(api.count.view, 0);
    if (returnCode === 0) return count <= room ? { view, count, room } : { refusal: undefined };
    const needed = Math.min(count + processRoomToSpare, processesMax);
    if (returnCode !== insufficientSize || needed <= room)
      return { refusal: refusalOf(symbol, returnCode) };
    room = needed;
  }
}

const notSupported = 3;
const insufficientSize = 7;
const functionNotFound = 13;

/** Bytes by process; `undefined` where the driver does not know them. */
type MemoryByPid = Map<number, number | undefined>;

function memoryOf(lists: readonly ListReader[], pass: DevicePass): MemoryByPid | Unread {
  const bytesByPid: MemoryByPid = new Map();
  let answered = 0;
  for (const list of lists) {
    const read = list(pass);
    if (read === undefined) continue;
    if (isUnread(read)) return read;
    // Before the next call, which uses the same memory.
    if (!addMemory(bytesByPid, read)) return { refusal: undefined };
    answered += 1;
  }
  return answered === 0 ? { refusal: undefined } : bytesByPid;
}

/** @returns False where what was written makes no sense. */
function addMemory(bytesByPid: MemoryByPid, read: Listed): boolean {
  const size = entrySizeOf(read);
  if (size === undefined) return false;
  for (let at = 0; at < read.count * size; at += size) {
    const pid = readU32(read.view, at + layouts.processInfo.at.pid);
    if (!isPid(pid)) return false;
    const bytes = readU64(read.view, at + layouts.processInfo.at.usedGpuMemory);
    // Of one process in two lists, as one that computes and draws, each list tells all its memory.
    const before = bytesByPid.get(pid) ?? 0;
    const isKnown = isWithin(useRanges.memoryUsedBytes, bytes);
    bytesByPid.set(pid, isKnown ? Math.max(bytes, before) : undefined);
  }
  return true;
}

/**
 * How long an entry is: every form ends with a member whose last byte is never the poison, so what was
 * written ends where the last entry does.
 */
function entrySizeOf({ view, count, room }: Listed): number | undefined {
  if (count === 0) return processEntryBytesMost;
  let endBytes = room * processEntryBytesMost;
  while (endBytes > 0 && view.getUint8(endBytes - 1) === poisonByte) endBytes -= 1;
  return entrySizes.find((size) => size * count === endBytes);
}

type Busy = { readonly [Name in Exclude<UseName, "memoryUsedBytes">]?: number };
const idle: Busy = { smPercent: 0, memoryPercent: 0, encoderPercent: 0, decoderPercent: 0 };

const { processUtilization } = layouts;
const busyMembers = {
  smPercent: processUtilization.at.smUtil,
  memoryPercent: processUtilization.at.memUtil,
  encoderPercent: processUtilization.at.encUtil,
  decoderPercent: processUtilization.at.decUtil,
} as const satisfies Record<keyof Busy, number>;
const busyNames = Object.keys(busyMembers) as (keyof Busy)[];

/**
 * By process, what each did since `processWindowMs` ago. Nobody: the driver says 6, NOT_FOUND, also where
 * it only has no new sample, so that is no answer.
 */
function utilizationReader(
  api: ProcessApi,
): (pass: DevicePass) => ReadonlyMap<number, Busy> | Unread {
  let room = processRoomToSpare;
  /** The driver's times of the newest samples of earlier passes, oldest first, and when those were. */
  let asked: readonly { readonly atMs: number; readonly timeStamp: number }[] = [];

  return ({ device, atMs }) => {
    const begin = asked.findLastIndex((one) => atMs - one.atMs >= processWindowMs);
    asked = asked.slice(Math.max(begin, 0));
    // Since 0: as far back as the driver remembers, some ten seconds.
    const since = begin < 0 ? 0 : (asked[0]?.timeStamp ?? 0);
    const read = listed(api, utilizationSymbol, room, (count, entries) =>
      api.utilization(device, entries, count, since),
    );
    if (isUnread(read)) return read;
    room = Math.min(read.count + processRoomToSpare, processesMax);
    const samples = samplesIn(read);
    const newest = Math.max(0, ...samples.map(({ timeStamp }) => timeStamp));
    if (newest > (asked.at(-1)?.timeStamp ?? 0)) asked = [...asked, { atMs, timeStamp: newest }];
    return busyOf(samples);
  };
}

interface UtilizationSample {
  readonly pid: number;
  readonly timeStamp: number;
  readonly busy: Busy;
}

/** Drivers fill what is left of the room with zeros or leave it, and values above 100 do occur. */
function samplesIn({ view, count }: Listed): readonly UtilizationSample[] {
  const { sizeBytes, at } = processUtilization;
  const samples: UtilizationSample[] = [];
  for (let base = 0; base < count * sizeBytes; base += sizeBytes) {
    const pid = readU32(view, base + at.pid);
    if (!isPid(pid)) continue;
    const uses = busyNames.map((name) => present(name, readU32(view, base + busyMembers[name])));
    const timeStamp = readU64(view, base + at.timeStamp);
    samples.push({ pid, timeStamp, busy: Object.assign({}, ...uses) });
  }
  return samples;
}

/** Of a process with several samples the mean of each use, where all of them have it. */
function busyOf(samples: readonly UtilizationSample[]): ReadonlyMap<number, Busy> {
  const byPid = Map.groupBy(samples, ({ pid }) => pid);
  return new Map(
    [...byPid].map(([pid, own]) => {
      const means = busyNames.map((name) => {
        const values = own.flatMap(({ busy }) => busy[name] ?? []);
        const isWhole = values.length === own.length;
        return isWhole ? { [name]: values.reduce((sum, one) => sum + one, 0) / own.length } : {};
      });
      return [pid, Object.assign({}, ...means)];
    }),
  );
}
