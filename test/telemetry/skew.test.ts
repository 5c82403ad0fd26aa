/**
 * Agents and scalers of two versions, as they meet in every roll-out. The messages of older agents were
 * recorded from their own encoders, at the commits that `node-snapshots.json` names.
 */
import { describe, expect, test } from "bun:test";
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import {
  DeviceSchema,
  HolderSchema,
  type NodeSnapshot,
  NodeSnapshotSchema,
  NodeStateSchema,
  SliceSchema,
  WatchRequestSchema,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName, Readings } from "#metric/reading.ts";
import { readSnapshot } from "#telemetry/check.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";
import { demandedReadings, watchRequest } from "#telemetry/demand.ts";
import { keysPerDevice, readingsByNumber } from "#telemetry/encode.ts";
import type { AgentReport } from "#telemetry/report.ts";
import recorded from "../fixtures/node-snapshots.json" with { type: "json" };

const streams = recorded.map(({ state, messages }) => ({
  state,
  messages: messages.map((text): Uint8Array => Buffer.from(text, "base64")),
}));
const [first, , latest] = streams;
if (first === undefined || latest === undefined) throw new Error("Nothing is recorded");

/** What is known after each message of a stream. */
function heard(messages: readonly Uint8Array[]): readonly (AgentReport | undefined)[] {
  const decode = snapshotDecoder();
  return messages.map((message) => decode(readSnapshot(message)));
}

const pending: ReadingName = "pcieTxKilobytesPerSecond";
/** Of the readings that an agent knew: their places were recorded as their values. */
function recordedReadings(count: number): Readings {
  const known = readingsByNumber.slice(1, count + 1).filter((name) => name !== pending);
  const { performanceState: _outOfRange, ...readings } = Object.fromEntries(
    known.map((name, at) => [name ?? "", at + 1]),
  );
  return readings;
}
const lackingAges = new Map([
  ["GPU-0", { unwell: undefined, absent: { [pending]: 0 } }],
  ["MIG-1", { unwell: 70_000, absent: { utilizationPercent: 80_000 } }],
]);

describe("an older agent is heard as it means", () => {
  test.each([
    ["before ages of what is lacking", 26, undefined],
    ["with ages of what is lacking", 26, lackingAges],
    ["with readings 27 to 32", 32, lackingAges],
  ] as const)("%s", (state, readingCount, ages) => {
    const { messages = [] } = streams.find((stream) => stream.state === state) ?? {};
    const [whole, changed] = heard(messages);
    expect(whole).toMatchObject({
      startedAtMs: 1_700_000_000_000,
      report: { name: "node-a", session: 3, sampleIntervalMs: 1_000, ageMs: 12, holdersAgeMs: 340 },
    });
    expect(whole?.report.lackingAges).toEqual(ages);
    const [gpu, instance] = whole?.report.devices ?? [];
    expect(gpu?.readings).toEqual(recordedReadings(readingCount));
    expect(gpu).toMatchObject({
      uuid: "GPU-0",
      minor: 2,
      health: { state: "ok" },
      holders: [{ namespace: "team", pod: "llm-0", container: "main", sharedBy: 2 }],
      absences: { [pending]: "pending", performanceState: "implausible" },
    });
    expect(instance).toMatchObject({
      uuid: "MIG-1",
      parentUuid: "GPU-0",
      slice: { gpuInstance: 3, computeInstance: 0, profile: 19, placementStart: 2 },
      health: { state: "lost", reason: "GPU is lost" },
      readings: { memoryUsedBytes: 5e9 },
      absences: { utilizationPercent: "unsupported" },
    });
    expect(changed?.report.devices[0]?.readings).toEqual({
      ...recordedReadings(readingCount),
      utilizationPercent: 97,
      powerInstantMilliwatts: 431_000,
    });
    expect(changed?.report.devices[1]).toBe(instance as never);
  });

  test("and what it does not know is absent, neither 0 nor with a reason", () => {
    const [whole] = heard(first.messages);
    const { readings, absences } = whole?.report.devices[0] ?? {};
    for (const name of readingsByNumber.slice(27)) {
      expect(readings).not.toHaveProperty(name ?? "");
      expect(absences).not.toHaveProperty(name ?? "");
    }
  });
});

/** A field of a number that `schema` does not have, of any type. */
function newerField({ fields }: { readonly fields: readonly { readonly number: number }[] }) {
  const number = fc
    .oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 2 ** 29 - 1 }))
    .filter((no) => fields.every((field) => field.number !== no));
  const content = fc.oneof(
    fc.nat().map((value) => ({
      wireType: WireType.Varint,
      data: new BinaryWriter().uint32(value).finish(),
    })),
    fc.double().map((value) => ({
      wireType: WireType.Bit64,
      data: new BinaryWriter().double(value).finish(),
    })),
    fc.float().map((value) => ({
      wireType: WireType.Bit32,
      data: new BinaryWriter().float(value).finish(),
    })),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => ({
      wireType: WireType.LengthDelimited,
      data: new BinaryWriter().bytes(bytes).finish(),
    })),
  );
  return fc.tuple(number, content).map(([no, field]) => ({ no, ...field }));
}

const newerFields = (schema: Parameters<typeof newerField>[0]) =>
  fc.array(newerField(schema), { minLength: 1, maxLength: 3 });
const unknown = fc.record({
  snapshot: newerFields(NodeSnapshotSchema),
  state: newerFields(NodeStateSchema),
  device: newerFields(DeviceSchema),
  slice: newerFields(SliceSchema),
  holder: newerFields(HolderSchema),
});
type Unknown = typeof unknown extends fc.Arbitrary<infer Fields> ? Fields : never;

function extended(message: Uint8Array, more: Unknown): Uint8Array {
  const snapshot = fromBinary(NodeSnapshotSchema, message);
  const extend = (part: Message | undefined, fields: Unknown["state"]) => {
    if (part !== undefined) part.$unknown = fields;
  };
  extend(snapshot, more.snapshot);
  extend(snapshot.state, more.state);
  for (const device of snapshot.state?.devices ?? []) {
    extend(device, more.device);
    extend(device.slice, more.slice);
    for (const holder of device.holders) extend(holder, more.holder);
  }
  return toBinary(NodeSnapshotSchema, snapshot);
}

const newerReadings = Array.from({ length: keysPerDevice }, (_, number) => number).filter(
  (number) => readingsByNumber[number] === undefined,
);
const newerKey = fc.record({
  key: fc
    .tuple(fc.nat({ max: 1 }), fc.constantFrom(...newerReadings))
    .map(([device, number]) => device * keysPerDevice + number),
  value: fc.double(),
  absence: fc.nat({ max: 9 }),
  /** Where among the keys that are known. */
  place: fc.nat({ max: 40 }),
});
const newerKeys = fc.array(newerKey, { maxLength: 8 });
type NewerKey = typeof newerKey extends fc.Arbitrary<infer Key> ? Key : never;

function withKeys(
  message: Uint8Array,
  present: readonly NewerKey[],
  absent: readonly NewerKey[],
): Uint8Array {
  const snapshot = fromBinary(NodeSnapshotSchema, message);
  for (const { key, value, place } of present) {
    snapshot.keys.splice(place, 0, key);
    snapshot.values.splice(place, 0, value);
  }
  for (const { key, absence, place } of absent) {
    snapshot.absentKeys.splice(place, 0, key);
    snapshot.absences.splice(place, 0, absence);
    if (snapshot.absentAgesMs.length > 0) snapshot.absentAgesMs.splice(place, 0, 5_000);
  }
  return toBinary(NodeSnapshotSchema, snapshot);
}

describe("a newer agent is heard as far as it is known", () => {
  test.each(streams)("fields of other numbers at every level change nothing: $state", (stream) => {
    fc.assert(
      fc.property(unknown, (more) => {
        const newer = stream.messages.map((message) => extended(message, more));
        expect(heard(newer)).toEqual([...heard(stream.messages)]);
      }),
    );
  });

  test.each(streams)("readings of other numbers change no other's: $state", ({ messages }) => {
    fc.assert(
      fc.property(newerKeys, newerKeys, (present, absent) => {
        const newer = messages.map((message) => withKeys(message, present, absent));
        expect(heard(newer)).toEqual([...heard(messages)]);
      }),
    );
  });

  /** The latest recorded stream whose first message was changed. */
  const changedWhole = (change: (snapshot: NodeSnapshot) => void) => {
    const [message = new Uint8Array(0)] = latest.messages;
    const snapshot = fromBinary(NodeSnapshotSchema, message);
    change(snapshot);
    return heard([toBinary(NodeSnapshotSchema, snapshot)])[0]?.report.devices ?? [];
  };

  test("a reason of another number is no reason, and the reading is not there", () => {
    const [gpu, instance] = changedWhole((snapshot) => {
      Object.assign(snapshot, { absences: snapshot.absences.map(() => 1_000) });
    });
    expect(gpu?.readings).not.toHaveProperty(pending);
    expect(gpu?.absences).not.toHaveProperty(pending);
    expect(instance?.readings).toEqual({ memoryUsedBytes: 5e9 });
  });

  test("a health of another number is not ok", () => {
    const [gpu] = changedWhole(({ state }) => {
      for (const device of state?.devices ?? []) Object.assign(device, { health: 1_000 });
    });
    expect(gpu?.health.state).toBe("failing");
  });
});

describe("a newer scaler is understood as far as it is known", () => {
  test("by an agent that does not know its fields and readings", () => {
    fc.assert(
      fc.property(newerFields(WatchRequestSchema), (fields) => {
        const request = create(WatchRequestSchema, watchRequest([pending]));
        request.demandedReadings.unshift(...newerReadings);
        request.$unknown = fields;
        const bytes = toBinary(WatchRequestSchema, request);
        expect(demandedReadings(fromBinary(WatchRequestSchema, bytes))).toEqual([pending]);
      }),
    );
  });
});
