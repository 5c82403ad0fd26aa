/**
 * From the text of a mock file to devices that can be played, or every problem at once.
 *
 * @module
 */
import * as v from "valibot";
import { parseYaml, type YamlPath } from "#core/yaml-text.ts";
import type { DeviceIdentity } from "#metric/sample.ts";
import { type FileDevice, fileSchema, type MockFaults, type MockFile } from "./schema.ts";
import { boundsOf } from "./signal.ts";

/** One device, every default filled in. */
export interface PlannedDevice extends DeviceIdentity {
  readonly conditions: FileDevice["conditions"];
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
  const yaml = parseYaml(text);
  if (yaml.problems !== undefined) return { problems: yaml.problems };
  const parsed = v.safeParse(fileSchema, yaml.value);
  if (!parsed.success) return { problems: yaml.problemsOf(parsed.issues) };
  const plan = planOf(parsed.output);
  const found = [
    ...shapeProblems(parsed.output),
    ...memoryProblems(parsed.output),
    ...twinProblems(plan.devices),
  ];
  if (found.length === 0) return { plan };
  return {
    problems: found.map(({ path, rule }) =>
      yaml.located(path, `${path.join(".") || "the file"}: ${rule}`),
    ),
  };
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
  const { index = position, model, vendor, conditions, readings, faults, parentUuid } = device;
  return {
    index,
    conditions,
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

interface PlanProblem {
  readonly path: YamlPath;
  readonly rule: string;
}

function shapeProblems({ devices, count, device }: MockFile): readonly PlanProblem[] {
  const both = count !== undefined && device !== undefined;
  const neither = count === undefined && device === undefined;
  if (devices === undefined ? both : neither) return [];
  return [{ path: [], rule: "must have either devices, or count and device" }];
}

function memoryProblems({ devices = [], device }: MockFile): readonly PlanProblem[] {
  const listed = devices.map(({ readings }, position) => ({
    path: ["devices", position],
    readings,
  }));
  const every = device === undefined ? [] : [{ path: ["device"], readings: device.readings }];
  return [...listed, ...every].flatMap(({ path, readings }) => {
    const { memoryUsedBytes: used, memoryTotalBytes: total } = readings;
    if (used === undefined || total === undefined) return [];
    const [{ most }, { least }] = [boundsOf(used), boundsOf(total)];
    const rule = `must not exceed memoryTotalBytes, ${most} > ${least}`;
    return most > least ? [{ path: [...path, "readings", "memoryUsedBytes"], rule }] : [];
  });
}

function twinProblems(devices: readonly PlannedDevice[]): readonly PlanProblem[] {
  return devices.flatMap((device, position) => {
    const before = devices.slice(0, position);
    return (["uuid", "index"] as const)
      .filter((key) => before.some((other) => other[key] === device[key]))
      .map((key) => ({
        path: ["devices", position, key],
        rule: `${device[key]} is there twice`,
      }));
  });
}
