/**
 * The messages of an agent's stream: an agent may have been taken over.
 *
 * @module
 */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  deviceTextCharsMax,
  labelCharsMax,
  objectNameCharsMax,
  reportDevicesMax,
  reportHoldersOfDeviceMax,
} from "#core/limits.ts";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { isPlausible, type ReadingName, readingNames } from "#metric/reading.ts";
import { readSnapshot } from "#telemetry/check.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import { framed, frameReader } from "#telemetry/frames.ts";
import type { AgentReport, NodeReport } from "#telemetry/report.ts";
import type { Draws } from "../draws.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { mutateProtobuf } from "../mutate-protobuf.ts";
import { outcomeOf, promise, promiseEqual, refusable, type Target } from "../target.ts";

function nodeReport(utilizationPercent: number, count: number): NodeReport {
  return {
    name: "node-a",
    sampleIntervalMs: 1_000,
    ageMs: 3,
    holdersAgeMs: 40,
    session: 1,
    driverVersion: "590.48.01",
    devices: Array.from({ length: count }, (_, index) => ({
      uuid: `GPU-${index}`,
      index,
      vendor: "nvidia",
      model: "NVIDIA H100 80GB HBM3",
      minor: index,
      pciBusId: `0000:${index}b:00.0`,
      ...(index === 2
        ? { parentUuid: "GPU-0", slice: { gpuInstance: 1, computeInstance: 0, profile: 9 } }
        : {}),
      ...(index === 0 ? { uses: { smPercent: new Map([["uid-0", 0.5]]) } } : {}),
      conditions: index === 1 ? [{ kind: "xid-hardware", detail: "XID 79" }] : [],
      health: index === 1 ? { state: "lost", reason: "Xid 79" } : { state: "ok" },
      holders: [{ namespace: "team", pod: `server-${index}`, container: "main", sharedBy: 2 }],
      readings: { utilizationPercent, memoryTotalBytes: 80e9, memoryUsedBytes: 70e9 },
      absences: { encoderPercent: "unsupported", powerInstantMilliwatts: "failed" },
    })),
    lackingAges: new Map([["GPU-1", { unwell: 5, absent: { encoderPercent: 7 } }]]),
  };
}

/** Streams as agents send them: a whole report, and what changes after it. */
function streams(): readonly Buffer[] {
  return [0, 1, 3].map((count) => {
    const encode = snapshotEncoder({ startedAtMs: 7, monotonicMs: () => 0, wholeEveryMs: 1_000 });
    const frames = [10, 95, 95.5].map((percent) => {
      const message = create(NodeSnapshotSchema, encode(nodeReport(percent, count)));
      return framed(toBinary(NodeSnapshotSchema, message));
    });
    return Buffer.concat(frames);
  });
}

const mutateSnapshot = mutateProtobuf(NodeSnapshotSchema, [
  "node-a",
  "GPU-0",
  "team",
  "x".repeat(63),
  "x".repeat(254),
]);

function mutate(draws: Draws, input: Buffer, other: Buffer): Buffer {
  const messages = messagesOf(input);
  const others = messagesOf(other);
  if (messages.length === 0 || draws.oneIn(12)) return mutateBytes(draws, input, other);
  const at = draws.below(messages.length);
  const message = messages[at] ?? Buffer.alloc(0);
  const taken = others.length === 0 ? message : draws.of(others);
  const edits = [
    () => messages.with(at, mutateSnapshot(draws, message, taken)),
    () => messages.with(at, mutateSnapshot(draws, message, taken)),
    () => messages.with(at, mutateSnapshot(draws, message, taken)),
    () => messages.toSpliced(at, 1),
    () => messages.toSpliced(at, 0, taken),
  ];
  return Buffer.concat(draws.of(edits)().map(framed));
}

/** Those that are whole. */
function messagesOf(input: Buffer): readonly Buffer[] {
  const messages: Buffer[] = [];
  const read = frameReader((message) => messages.push(Buffer.from(message)));
  try {
    read(input);
  } catch {
    // What comes after a broken frame is nothing.
  }
  return messages;
}

export const snapshotTarget: Target = {
  name: "snapshot",
  testInputs: 2_400,
  share: 150_000,
  corpus: streams,
  mutate,
  run: (input) => {
    const messages = messagesOf(input);
    promiseEqual(messagesInBytes(input), messages, "messages of a stream that comes in pieces");
    const decode = snapshotDecoder();
    let known: AgentReport | undefined;
    for (const message of messages) {
      const { result, fault } = refusable(["report-invalid"], () => decode(readSnapshot(message)));
      if (fault !== undefined) return outcomeOf(fault.message);
      if (result !== undefined) checkReport(result.report);
      known = result;
    }
    if (known === undefined) return `${messages.length > 0}`;
    checkRoundTrip(known);
    const { devices, driverVersion, holdersAgeMs } = known.report;
    const states = devices.map(({ health, absences }) => [health.state, Object.values(absences)]);
    return `${states} ${driverVersion === undefined} ${holdersAgeMs === undefined}`.slice(0, 120);
  },
};

function messagesInBytes(input: Buffer): readonly Buffer[] {
  const messages: Buffer[] = [];
  const read = frameReader((message) => messages.push(Buffer.from(message)));
  try {
    for (let at = 0; at < input.length; at += 101) read(input.subarray(at, at + 101));
  } catch {
    // The same broken frame as in one piece.
  }
  return messages;
}

function checkReport({ name, devices }: NodeReport): void {
  const isShort = (text: string, most: number) => text.length > 0 && text.length <= most;
  promise(isShort(name, objectNameCharsMax), () => `a node has a name: ${name}`);
  promise(devices.length <= reportDevicesMax, () => `${devices.length} devices`);
  const uuids = new Set(devices.map(({ uuid }) => uuid));
  promise(uuids.size === devices.length, () => "each device is there once");
  for (const { uuid, holders, readings, absences } of devices) {
    promise(isShort(uuid, deviceTextCharsMax), () => `a device has a uuid: ${uuid}`);
    promise(holders.length <= reportHoldersOfDeviceMax, () => `${holders.length} holders`);
    for (const { namespace, pod, sharedBy } of holders) {
      promise(isShort(namespace, labelCharsMax), () => `a namespace: ${namespace}`);
      promise(isShort(pod, objectNameCharsMax), () => `a pod: ${pod}`);
      promise(sharedBy === undefined || sharedBy >= 1, () => `shared by ${sharedBy}`);
    }
    for (const [reading, value] of Object.entries(readings) as [ReadingName, number][]) {
      promise(readingNames.includes(reading), () => `a reading is known: ${reading}`);
      promise(isPlausible(reading, value), () => `${reading} is plausible: ${value}`);
      promise(absences[reading] === undefined, () => `${reading} is there, or is absent`);
    }
  }
}

/** What is understood, said again by an agent of this version, is understood as the same. */
function checkRoundTrip({ report, startedAtMs }: AgentReport): void {
  if (!Number.isSafeInteger(startedAtMs)) return;
  const encode = snapshotEncoder({ startedAtMs, monotonicMs: () => 0, wholeEveryMs: 1_000 });
  const bytes = toBinary(NodeSnapshotSchema, create(NodeSnapshotSchema, encode(report)));
  const again = snapshotDecoder()(readSnapshot(bytes));
  const plain = ({ lackingAges: _, ...rest }: NodeReport) => rest;
  promiseEqual(again && plain(again.report), plain(report), "a report that is sent on");
}
