/**
 * What a node's message may hold.
 *
 * An agent runs on a GPU node, beside whatever runs there, so its word is checked as a stranger's.
 * Counts are checked on the bytes: a message of 1 MiB can hold half a million empty devices, and a
 * thousand times its size would be allocated before anybody could count them.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Fault, messageOf } from "#core/fault.ts";
import {
  deviceTextCharsMax,
  healthReasonCharsMax,
  labelCharsMax,
  objectNameCharsMax,
  quotedCharsMax,
  reportConditionsOfDeviceMax,
  reportDevicesMax,
  reportDeviceUsesMax,
  reportHoldersMax,
  reportHoldersOfDeviceMax,
  sampleIntervalMostMs,
} from "#core/limits.ts";
import {
  type Device,
  DeviceSchema,
  type DeviceUse,
  DeviceUseSchema,
  type Holder,
  type NodeSnapshot,
  NodeSnapshotSchema,
  type NodeState,
  NodeStateSchema,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";

/** A report that is not used; `problem` is what must be and what is. */
export function invalidReport(node: string, problem: string): Fault {
  const name = node === "" ? "unknown" : node.slice(0, quotedCharsMax);
  return new Fault(
    "report-invalid",
    `Cannot use the report of node ${name}: ${problem}; see that its agent is of this version and ` +
      "alone at its address",
    { node: name, problem },
  );
}

/**
 * Reads one message of a stream.
 *
 * @throws {Fault} `report-invalid` for what is no snapshot, or has more parts than a node can have.
 */
export function readSnapshot(message: Uint8Array): NodeSnapshot {
  try {
    checkCounts(message);
    return fromBinary(NodeSnapshotSchema, message, { readUnknownFields: false });
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw invalidReport("", `its message must be a NodeSnapshot, got ${messageOf(error)}`);
  }
}

function checkCounts(message: Uint8Array): void {
  checkUseCounts(message);
  const states = partsOf(message, NodeSnapshotSchema.field.state.number, 1);
  const [state] = states.parts;
  if (state === undefined) return;
  if (states.count > 1)
    throw invalidReport("", `states of one message must be at most 1, got ${states.count}`);
  const most = (what: string, limit: number, count: number) => {
    if (count > limit)
      throw invalidReport(nodeNameOf(state), `${what} must be at most ${limit}, got ${count}`);
  };
  const devices = partsOf(state, NodeStateSchema.field.devices.number, reportDevicesMax);
  most("devices", reportDevicesMax, devices.count);
  let holders = 0;
  for (const [position, device] of devices.parts.entries()) {
    const conditions = partsOf(device, DeviceSchema.field.conditions.number, 0);
    most(`conditions of device ${position}`, reportConditionsOfDeviceMax, conditions.count);
    const { count } = partsOf(device, DeviceSchema.field.holders.number, 0);
    most(`holders of device ${position}`, reportHoldersOfDeviceMax, count);
    holders += count;
  }
  most("holders", reportHoldersMax, holders);
}

function checkUseCounts(message: Uint8Array): void {
  const uses = partsOf(message, NodeSnapshotSchema.field.deviceUses.number, reportDeviceUsesMax);
  if (uses.count > reportDeviceUsesMax)
    throw invalidReport("", `deviceUses must be at most ${reportDeviceUsesMax}, got ${uses.count}`);
  let pods = 0;
  for (const use of uses.parts) pods += partsOf(use, DeviceUseSchema.field.podUids.number, 0).count;
  if (pods > reportHoldersMax)
    throw invalidReport("", `pods of deviceUses must be at most ${reportHoldersMax}, got ${pods}`);
}

/** How often a message has this field, and the bytes of its first `most`. */
function partsOf(bytes: Uint8Array, field: number, most: number) {
  const reader = new BinaryReader(bytes);
  const parts: Uint8Array[] = [];
  let count = 0;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const isPart = number === field && wireType === WireType.LengthDelimited;
    if (isPart && count < most) parts.push(reader.bytes());
    else reader.skip(wireType, number);
    if (isPart) count += 1;
  }
  return { parts, count };
}

function nodeNameOf(state: Uint8Array): string {
  const { parts } = partsOf(state, NodeStateSchema.field.node.number, 1);
  return new TextDecoder().decode(parts[0]);
}

/** @throws {Fault} `report-invalid` for what no node can say of itself. */
export function checkState(state: NodeState): void {
  const { node, sampleIntervalMs, driverVersion = "", libraryVersion = "", devices } = state;
  const fail = (problem: string): never => {
    throw invalidReport(node, problem);
  };
  checkTexts({ node }, 1, objectNameCharsMax, fail);
  checkTexts({ driverVersion, libraryVersion }, 0, deviceTextCharsMax, fail);
  if (sampleIntervalMs > sampleIntervalMostMs)
    fail(`sampleIntervalMs must be at most ${sampleIntervalMostMs}, got ${sampleIntervalMs}`);
  const uuids = new Set<string>();
  for (const [position, device] of devices.entries()) {
    const failAt = (problem: string) => fail(`devices.${position}.${problem}`);
    checkDevice(device, failAt);
    if (uuids.has(device.uuid)) failAt(`uuid must be there once, got ${quoted(device.uuid)} again`);
    uuids.add(device.uuid);
  }
}

type Fail = (problem: string) => never;

function checkDevice(device: Device, fail: Fail): void {
  const { uuid, vendor, model, pciBusId = "", parentUuid = "", healthReason } = device;
  const { conditions, holders } = device;
  checkTexts({ uuid }, 1, deviceTextCharsMax, fail);
  checkTexts({ vendor, model, pciBusId, parentUuid }, 0, deviceTextCharsMax, fail);
  checkTexts({ healthReason }, 0, healthReasonCharsMax, fail);
  for (const [position, { detail }] of conditions.entries())
    checkTexts({ [`conditions.${position}.detail`]: detail }, 0, healthReasonCharsMax, fail);
  for (const [position, holder] of holders.entries())
    checkHolder(holder, (problem) => fail(`holders.${position}.${problem}`));
}

function checkHolder({ namespace, pod, container, sharedBy }: Holder, fail: Fail): void {
  checkTexts({ namespace, container }, 1, labelCharsMax, fail);
  checkTexts({ pod }, 1, objectNameCharsMax, fail);
  if (sharedBy === 0) fail("sharedBy must be at least 1, got 0");
}

/**
 * Sums of parts may be off by what doubles lose.
 *
 * @throws {Fault} `report-invalid` for parts that no device can be divided into.
 */
export function checkUse({ position, podUids, parts }: DeviceUse, node: string, devices: number) {
  const fail = (problem: string): never => {
    throw invalidReport(node, `deviceUses of device ${position}: ${problem}`);
  };
  if (position >= devices) fail(`its devices are ${devices}`);
  if (podUids.length !== parts.length)
    fail(`${podUids.length} podUids must have as many parts, got ${parts.length}`);
  if (new Set(podUids).size < podUids.length) fail("each of its podUids must be there once");
  for (const podUid of podUids) checkTexts({ podUid }, 1, labelCharsMax, fail);
  const sum = parts.reduce((all, part) => all + part, 0);
  if (parts.some((part) => !(part >= 0)) || !(sum <= 1 + 1e-9))
    fail(
      `its parts must be from 0 to 1 and at most 1 together, got ${parts.slice(0, 8).join(", ")}`,
    );
}

function checkTexts(
  texts: Readonly<Record<string, string>>,
  least: number,
  most: number,
  fail: Fail,
): void {
  for (const [name, text] of Object.entries(texts))
    if (text.length < least || text.length > most)
      fail(`${name} must have ${least} to ${most} characters, got ${quoted(text)}`);
}

function quoted(text: string): string {
  const shown = JSON.stringify(text.slice(0, quotedCharsMax));
  return text.length > quotedCharsMax ? `${text.length}, beginning ${shown}` : shown;
}
