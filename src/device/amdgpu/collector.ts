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
import { type AmdCard, amdCards, cardsFolder, describeCard, isPartitioned } from "./cards.ts";
import { type CardReadings, readCard } from "./readings.ts";
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
  readonly isPartitioned?: true | undefined;
}

export function amdgpuCollector({ sysfsRoot, log }: AmdgpuCollectorOptions): BlockingCollector {
  /** By PCI address. */
  const known = new Map<string, KnownCard>();

  /** In a slot where a card was lost there may be another one now. */
  const enter = (card: AmdCard) => {
    const before = known.get(card.pciBusId);
    if (before?.isLost === false) return;
    const described = describeCard(card);
    const isTaken = [...known].some(
      ([pciBusId, { identity }]) => pciBusId !== card.pciBusId && identity.uuid === described.uuid,
    );
    const identity = isTaken ? { ...described, uuid: card.pciBusId } : described;
    const isSame = before?.identity.uuid === identity.uuid;
    const logHealth = isSame ? before.logHealth : healthLog(identity.uuid, log);
    known.set(card.pciBusId, { identity, logHealth, isLost: false });
  };

  return {
    name: "amdgpu",
    collect: () => {
      const cards = new Map(amdCards(sysfsRoot).map((card) => [card.pciBusId, card]));
      for (const card of cards.values()) enter(card);
      if (known.size === 0) throw noCards(sysfsRoot);

      const slots = [...known].sort(([one], [other]) => (one < other ? -1 : 1));
      const devices = slots.map(([pciBusId, slot], index): DeviceSample => {
        const card = cards.get(pciBusId);
        const state = readOrLost(card, slot);
        const partitioned = card && isPartitioned(card, slot.isPartitioned);
        const isLost = state.health.state === "lost";
        known.set(pciBusId, { ...slot, isLost, isPartitioned: partitioned });
        slot.logHealth(state.health, state.absences, index);
        return { ...slot.identity, index, isPartitioned: partitioned, conditions: [], ...state };
      });
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

type CardState = Pick<DeviceSample, "health" | "readings" | "absences">;

function readOrLost(card: AmdCard | undefined, { identity }: KnownCard): CardState {
  const taken = card && readCard(card.device);
  // A card may go between two of its files; what was read of it until then is of no use.
  if (card === undefined || taken === undefined || !existsSync(card.device))
    return { health: lostHealth(identity), readings: {}, absences: absencesOfLost };
  const { readings, absences } = taken;
  return { health: healthOf(taken), readings, absences };
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
