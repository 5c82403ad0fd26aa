/**
 * From the text of a mock file to devices that can be played, or every problem at once.
 *
 * @module
 */
import * as v from "valibot";
import { messageOf } from "#core/fault.ts";
import { problemOf } from "#core/file-schema.ts";
import type { DeviceIdentity } from "#metric/sample.ts";
import { type FileDevice, fileSchema, type MockFaults, type MockFile } from "./schema.ts";
import { boundsOf } from "./signal.ts";

/** One device, every default filled in. */
export interface PlannedDevice extends DeviceIdentity {
  readonly readings: FileDevice["readings"];
  readonly faults: MockFaults;
  /** How far its readings are ahead of the file's time. */
  readonly aheadSeconds: number;
}
export interface Plan {
  readonly driverVersion?: string | undefined;
  readonly libraryVersion?: string | undefined;
  readonly devices: readonly PlannedDevice[];
  /** Of every device. */
  readonly faults: MockFaults;
}
export type ParsedPlan =
  | { readonly plan: Plan; readonly problems?: never }
  | { readonly problems: readonly string[]; readonly plan?: never };

/** Reads a mock file. Rules between keys are checked once each key is right by itself. */
export function parsePlan(text: string): ParsedPlan {
  let input: unknown;
  try {
    input = Bun.YAML.parse(text);
  } catch (error) {
    return { problems: [`the file: must be YAML: ${messageOf(error)}`] };
  }
  const parsed = v.safeParse(fileSchema, input);
  if (!parsed.success) return { problems: parsed.issues.map((issue) => problemOf(issue)) };
  const plan = planOf(parsed.output);
  const problems = [...shapeProblems(parsed.output), ...deviceProblems(plan.devices)];
  return problems.length === 0 ? { plan } : { problems };
}

function planOf({ devices, count = 0, device, staggerSeconds, ...rest }: MockFile): Plan {
  const { driverVersion, libraryVersion, faults } = rest;
  const listed = devices ?? (device === undefined ? [] : Array(count).fill(device));
  return {
    driverVersion,
    libraryVersion,
    devices: listed.map((each, position) =>
      plannedDevice(each, position, position * staggerSeconds),
    ),
    faults,
  };
}

function plannedDevice(device: FileDevice, position: number, aheadSeconds: number): PlannedDevice {
  const { index = position, model, vendor, readings, faults, parentUuid } = device;
  return {
    index,
    model,
    vendor,
    readings,
    faults,
    aheadSeconds,
    uuid: device.uuid ?? `GPU-00000000-0000-4000-8000-${hex(index, 12)}`,
    minor: device.minor ?? index,
    pciBusId: device.pciBusId ?? `${hex(index >> 8, 4)}:${hex(index & 0xff, 2)}:00.0`,
    parentUuid,
  };
}

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

function shapeProblems({ devices, count, device }: MockFile): string[] {
  const both = count !== undefined && device !== undefined;
  const neither = count === undefined && device === undefined;
  if (devices === undefined ? both : neither) return [];
  return ["the file: must have either devices, or count and device"];
}

function deviceProblems(devices: readonly PlannedDevice[]): string[] {
  return devices.flatMap(({ uuid, index, readings }, position) => {
    const before = devices.slice(0, position);
    const problems: string[] = [];
    const found = (key: string, problem: string) =>
      problems.push(`devices.${position}.${key}: ${problem}`);
    if (before.some((other) => other.uuid === uuid)) found("uuid", `${uuid} is there twice`);
    if (before.some((other) => other.index === index)) found("index", `${index} is there twice`);
    const { memoryUsedBytes: used, memoryTotalBytes: total } = readings;
    if (used === undefined || total === undefined) return problems;
    const [{ most }, { least }] = [boundsOf(used), boundsOf(total)];
    if (most > least)
      found("readings.memoryUsedBytes", `must not exceed memoryTotalBytes, ${most} > ${least}`);
    return problems;
  });
}
