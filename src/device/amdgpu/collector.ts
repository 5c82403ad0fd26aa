/**
 * Reads AMD GPUs through the files that the kernel's amdgpu driver has in sysfs: no library, no
 * device node and no right is needed.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import type { BlockingCollector } from "#device/collector.ts";
import { type HealthLog, healthLog } from "#device/health-log.ts";
import { readingNames } from "#metric/reading.ts";
import type { DeviceHealth, DeviceIdentity, DeviceSample } from "#metric/sample.ts";
import { type AmdCard, amdCards, cardsFolder, describeCard, partitionMode } from "./cards.ts";
import {
  type AmdPartition,
  type KfdMemory,
  kfdMemory,
  partitionNodes,
  partitionsInUse,
} from "./partitions.ts";
import { type CardReadings, type CardTable, readCard, readPartition } from "./readings.ts";
import { readSysfs } from "./sysfs.ts";

export interface AmdgpuCollectorOptions {
  /** Where sysfs is mounted. */
  readonly sysfsRoot: string;
  readonly log: Log;
}

/** A card that was there once. It is reported as lost when it is not there any more. */
interface KnownCard {
  readonly identity: Omit<DeviceIdentity, "index">;
  readonly logHealth: HealthLog;
  readonly isLost: boolean;
  /** Undefined for a card in one piece. */
  readonly mode?: string | undefined;
  /** Those in use as of the last pass that could see them. */
  readonly partitions: readonly AmdPartition[];
}

/** What one pass reads once for all cards. */
interface Pass {
  readonly cards: ReadonlyMap<string, AmdCard>;
  readonly nodes: () => ReturnType<typeof partitionNodes>;
  readonly memory: () => KfdMemory;
}

export function amdgpuCollector({ sysfsRoot, log }: AmdgpuCollectorOptions): BlockingCollector {
  /** By PCI address. */
  const known = new Map<string, KnownCard>();
  const logOnce = onceLog(log);

  /** The card, and then its partitions. */
  const read = (
    pciBusId: string,
    slot: KnownCard,
    index: number,
    pass: Pass,
  ): readonly DeviceSample[] => {
    const card = pass.cards.get(pciBusId);
    const state = readOrLost(card, slot);
    const isLost = state.health.state === "lost";
    const now = isLost ? slot : { ...slot, ...cutOf(card, slot, state.table, pass, logOnce) };
    known.set(pciBusId, { ...now, isLost });
    slot.logHealth(state.health, state.absences, index);
    logTable(slot.identity.uuid, "gpu_metrics", state.table, logOnce);
    const { table, ...sample } = state;
    const { mode, partitions } = now;
    const isPartitioned = mode === undefined ? undefined : true;
    const whole: DeviceSample = {
      ...slot.identity,
      index,
      isPartitioned,
      conditions: [],
      ...sample,
    };
    const parts = partitions.map((partition) =>
      partitionSample(partition, mode ?? "", whole, table, pass, logOnce),
    );
    return [whole, ...parts];
  };

  return {
    name: "amdgpu",
    collect: () => {
      const listed = amdCards(sysfsRoot);
      const cards = new Map(listed.map((card) => [card.pciBusId, card]));
      for (const card of listed) enter(card, known, log);
      if (known.size === 0) throw noCards(sysfsRoot);

      const pass: Pass = {
        cards,
        nodes: once(() => partitionNodes(sysfsRoot, listed)),
        memory: once(() => kfdMemory(sysfsRoot)),
      };
      const slots = [...known].sort(([one], [other]) => (one < other ? -1 : 1));
      const devices = slots.flatMap(([pciBusId, slot], index) => read(pciBusId, slot, index, pass));
      const version = readSysfs(join(sysfsRoot, "module", "amdgpu", "version"));
      return {
        session: 1,
        driverVersion: typeof version === "string" ? version : undefined,
        devices,
      };
    },
    close: () => {},
  };
}

/** In a slot where a card was lost there may be another one now. */
function enter(card: AmdCard, known: Map<string, KnownCard>, log: Log): void {
  const before = known.get(card.pciBusId);
  if (before?.isLost === false) return;
  const described = describeCard(card);
  const isTaken = [...known].some(
    ([pciBusId, { identity }]) => pciBusId !== card.pciBusId && identity.uuid === described.uuid,
  );
  const identity = isTaken ? { ...described, uuid: card.pciBusId } : described;
  const isSame = before?.identity.uuid === identity.uuid;
  const logHealth = isSame ? before.logHealth : healthLog(identity.uuid, log);
  known.set(card.pciBusId, { identity, logHealth, isLost: false, partitions: [] });
}

type CardState = Pick<DeviceSample, "health" | "readings" | "absences"> & {
  readonly table: CardTable;
};

function readOrLost(card: AmdCard | undefined, { identity }: KnownCard): CardState {
  const taken = card && readCard(card.device);
  // A card may go between two of its files; what was read of it until then is of no use.
  if (card === undefined || taken === undefined || !existsSync(card.device)) {
    const table = { problem: "torn", absence: "failed" } as const;
    return { health: lostHealth(identity), readings: {}, absences: absencesOfLost, table };
  }
  const { readings, absences, table } = taken;
  return { health: healthOf(taken), readings, absences, table };
}

/** How a card is cut now, and into which partitions. */
function cutOf(
  card: AmdCard | undefined,
  slot: KnownCard,
  table: CardTable,
  pass: Pass,
  logOnce: OnceLog,
): Pick<KnownCard, "mode" | "partitions"> {
  const mode = card && partitionMode(card, slot.mode);
  if (card === undefined || mode === undefined) return { mode, partitions: [] };
  const reported = "problem" in table ? undefined : table.quantities.partitionCount?.[0];
  const nodes = pass.nodes()?.get(card.pciBusId) ?? [];
  const partitions = partitionsInUse(nodes, mode, reported);
  if (partitions.length === 0 && mode === slot.mode && slot.partitions.length > 0) return slot;
  if (partitions.length === 0)
    logOnce("gpu partitions cannot be told apart", { uuid: slot.identity.uuid, mode });
  return { mode, partitions };
}

function partitionSample(
  partition: AmdPartition,
  mode: string,
  whole: DeviceSample,
  cardTable: CardTable,
  pass: Pass,
  logOnce: OnceLog,
): DeviceSample {
  const { number, sysfsName, minor } = partition;
  const { isPartitioned: _ofWhole, ...card } = whole;
  const identity = {
    ...card,
    // In another mode it is another part of the card, whatever its number.
    uuid: `${whole.uuid}-${mode.toLowerCase()}${number}`,
    model: `${whole.model} ${mode}`,
    minor,
    parentUuid: whole.uuid,
    partitionName: sysfsName,
  };
  if (whole.health.state === "lost") return { ...identity, readings: {}, absences: absencesOfLost };
  const { readings, absences, table } = readPartition(partition, cardTable, pass.memory());
  logTable(identity.uuid, "xcp_metrics", table, logOnce);
  return { ...identity, readings, absences };
}

function logTable(uuid: string, file: string, table: CardTable, logOnce: OnceLog): void {
  if ("problem" in table && table.problem === "unknown")
    logOnce("gpu metrics table of an unknown version", { uuid, file, version: table.version });
}

type OnceLog = (event: string, facts: Parameters<Log>[2]) => void;

/** Warns of the same facts once in the life of the process. */
function onceLog(log: Log): OnceLog {
  const logged = new Set<string>();
  return (event, facts) => {
    const key = JSON.stringify([event, facts]);
    if (logged.has(key)) return;
    logged.add(key);
    log("warn", event, facts);
  };
}

/** Made when it is first asked for, and kept. */
function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

const absencesOfLost = Object.freeze(
  Object.fromEntries(readingNames.map((name) => [name, "failed"] as const)),
);

function lostHealth({ pciBusId }: Pick<DeviceIdentity, "pciBusId">): DeviceHealth {
  const reason = `the kernel does not list ${pciBusId} any more; look for amdgpu lines in dmesg`;
  return { state: "lost", reason };
}

/** A card that gives some readings is well: which it has not, the readings say. */
function healthOf({ answered, refused }: CardReadings): DeviceHealth {
  if (answered > 0 || refused === undefined) return { state: "ok" };
  const reason =
    `no file of it can be read, ${refused.file}: ${refused.code}; ` +
    "the driver may be resetting it: look for amdgpu lines in dmesg";
  return { state: "failing", reason };
}

function noCards(sysfsRoot: string): Fault {
  const folder = cardsFolder(sysfsRoot);
  return new Fault(
    "library-missing",
    `Cannot find an AMD GPU: no card in ${folder} has the vendor 0x1002; load the driver amdgpu ` +
      "on the node, or name the folder where sysfs is mounted with --sysfs-root",
    { paths: [folder] },
  );
}
