import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { useNames } from "#metric/device-use.ts";
import { readingNames, readingRanges } from "#metric/reading.ts";
import { conditionKinds } from "#metric/sample.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import type { NodeReport } from "#telemetry/report.ts";

type Device = NodeReport["devices"][number];

const text = fc.string({ maxLength: 8 });
const name = fc.string({ minLength: 1, maxLength: 8 });
const small = fc.nat({ max: 1000 });
const anyReading = fc.constantFrom(...readingNames).chain((name) => {
  const { least, most } = readingRanges[name];
  const value = fc.oneof(
    fc.double({ min: least, max: most, noNaN: true }),
    fc.constantFrom(least, most),
  );
  return fc.tuple(fc.constant(name), value);
});
const anyAbsence = fc.tuple(
  fc.constantFrom(...readingNames),
  fc.constantFrom("unsupported", "not-permitted", "failed", "implausible", "pending"),
);
const optional = { requiredKeys: [] };

/** Parts of pods that are at most the whole. */
const shares = fc
  .uniqueArray(fc.tuple(name, fc.double({ min: 0, max: 1, noNaN: true })), {
    maxLength: 3,
    selector: ([uid]) => uid,
  })
  .map((parts) => new Map(parts.map(([uid, part]) => [uid, part / parts.length])));
const uses = fc.option(
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...useNames), shares), {
      minLength: 1,
      selector: ([use]) => use,
    })
    .map((parts) => Object.fromEntries(parts)),
  { nil: undefined },
);

const device: fc.Arbitrary<Device> = fc
  .record({
    identity: fc.record({ uuid: name, index: small, vendor: text, model: text }),
    more: fc.record({ minor: small, pciBusId: text, parentUuid: text }, optional),
    slice: fc.option(
      fc.record(
        { gpuInstance: small, computeInstance: small, profile: small, placementStart: small },
        { requiredKeys: ["gpuInstance", "computeInstance"] },
      ),
      { nil: undefined },
    ),
    health: fc.oneof(
      fc.constant({ state: "ok" } as const),
      fc.record({
        state: fc.constantFrom("lost", "reset-required", "failing"),
        reason: text,
      }),
    ),
    conditions: fc.uniqueArray(
      fc.record({ kind: fc.constantFrom(...conditionKinds), detail: text }),
      { selector: ({ kind }) => kind, maxLength: 3 },
    ),
    holders: fc.array(
      fc.record(
        {
          namespace: name,
          pod: name,
          container: name,
          sharedBy: fc.integer({ min: 1, max: 1000 }),
        },
        { requiredKeys: ["namespace", "pod", "container"] },
      ),
      { maxLength: 2 },
    ),
    values: fc.array(anyReading, { maxLength: 12 }),
    reasons: fc.array(anyAbsence, { maxLength: 12 }),
    uses,
  })
  .map(({ identity, more, slice, values, reasons, uses, ...said }) => {
    const readings = Object.fromEntries(values);
    const absent = reasons.filter(([name]) => !(name in readings));
    const numbered = slice === undefined ? {} : { slice };
    const absences = Object.fromEntries(absent);
    const shared = uses === undefined ? {} : { uses };
    return { ...identity, ...more, ...numbered, ...said, ...shared, readings, absences } as Device;
  });

const devices = fc.uniqueArray(device, { maxLength: 4, selector: ({ uuid }) => uuid });
const report = (some: fc.Arbitrary<readonly Device[]>): fc.Arbitrary<NodeReport> =>
  fc
    .record({
      name,
      sampleIntervalMs: small,
      ageMs: small,
      session: small,
      devices: some,
      more: fc.record({ driverVersion: text, libraryVersion: text, holdersAgeMs: small }, optional),
    })
    .map(({ more, ...facts }) => ({ ...facts, ...more }));

/** Reports as a node makes them: mostly the same devices with other readings. */
const stream = fc.tuple(devices, fc.array(report(devices), { minLength: 1 })).chain(([kept, odd]) =>
  fc.array(
    fc.oneof(
      { weight: 1, arbitrary: fc.constantFrom(...odd) },
      {
        weight: 4,
        arbitrary: fc
          .tuple(
            fc.constant(odd[0] as NodeReport),
            fc.array(device, { minLength: 4, maxLength: 4 }),
          )
          .map(([base, others]) => ({
            ...base,
            devices: kept.map((one, position) => {
              const { readings, absences, uses } = others[position] as Device;
              return { ...one, readings, absences, uses };
            }),
          })),
      },
    ),
    { minLength: 1, maxLength: 8 },
  ),
);

function wire({ wholeEveryMs = 30_000 } = {}) {
  let nowMs = 0;
  const encode = snapshotEncoder({ startedAtMs: 7, monotonicMs: () => nowMs, wholeEveryMs });
  const decode = snapshotDecoder();
  const send = (message: NodeReport) =>
    toBinary(NodeSnapshotSchema, create(NodeSnapshotSchema, encode(message)));
  const receive = (bytes: Uint8Array) => decode(fromBinary(NodeSnapshotSchema, bytes));
  return { send, receive, pass: (ms: number) => (nowMs += ms) };
}

test("every report arrives as it was sent, whole or as changes", () => {
  fc.assert(
    fc.property(stream, fc.constantFrom(0, 1_500, 30_000), (reports, wholeEveryMs) => {
      const { send, receive, pass } = wire({ wholeEveryMs });
      for (const sent of reports) {
        expect(receive(send(sent))).toEqual({ startedAtMs: 7, report: sent });
        pass(1_000);
      }
    }),
  );
});

const busy = (percents: readonly number[]): NodeReport => ({
  name: "node-a",
  sampleIntervalMs: 1_000,
  ageMs: 3,
  session: 1,
  devices: percents.map((utilizationPercent, index) => ({
    uuid: `GPU-${index}`,
    index,
    vendor: "nvidia",
    model: "NVIDIA H100 80GB HBM3",
    health: { state: "ok" },
    conditions: [],
    holders: [{ namespace: "team", pod: `server-${index}`, container: "main" }],
    readings: { utilizationPercent, memoryTotalBytes: 80e9, memoryUsedBytes: 70e9 },
    absences: { encoderPercent: "unsupported" },
  })),
});

describe("a message", () => {
  test("says only what changed, and everything again after the time for it", () => {
    const { send, pass } = wire({ wholeEveryMs: 30_000 });
    const whole = send(busy([1, 2, 3, 4])).length;
    expect(send(busy([1, 2, 3, 4])).length).toBeLessThan(4);
    expect(send(busy([1, 9, 3, 4])).length).toBeLessThan(20);
    pass(30_000);
    expect(send(busy([1, 9, 3, 4])).length).toBe(whole);
  });

  test("says all again when a condition comes, which is cut to its longest", () => {
    const { send, receive } = wire();
    send(busy([1]));
    const [one, ...others] = busy([1, 2]).devices;
    const conditions = [{ kind: "recovery-action", detail: "x".repeat(2_000) }] as const;
    const told = { ...busy([]), devices: [{ ...(one as Device), conditions }, ...others] };
    const [first] = receive(send(told))?.report.devices ?? [];
    expect(first?.conditions).toEqual([{ kind: "recovery-action", detail: "x".repeat(1_024) }]);
  });

  test("says nothing of counts that only the agent shows", () => {
    const { send, receive } = wire();
    const counted = (count: number): NodeReport => ({
      ...busy([]),
      devices: busy([1]).devices.map((one) => ({
        ...one,
        xidCounts: [{ xid: 13, kind: "application", count }],
      })),
    });
    expect(receive(send(counted(1)))?.report.devices[0]?.xidCounts).toBeUndefined();
    expect(send(counted(2)).length).toBeLessThan(4);
  });

  test("carries for how long things have been lacking when it is whole, and then alone", () => {
    const { send, receive, pass } = wire({ wholeEveryMs: 30_000 });
    const of = (ms: number): NodeReport => ({
      ...busy([1, 2]),
      lackingAges: new Map([
        ["GPU-0", { unwell: ms, absent: { encoderPercent: ms + 1 } }],
        ["GPU-1", { absent: { encoderPercent: 2 ** 40 } }],
      ]),
    });
    const first = receive(send(of(5)));
    expect(first?.report.lackingAges).toEqual(
      new Map([
        ["GPU-0", { unwell: 5, absent: { encoderPercent: 6 } }],
        ["GPU-1", { absent: { encoderPercent: 2 ** 32 - 1 } }],
      ]),
    );
    // An age that grows is no change.
    const next = send(of(1_005));
    expect(next.length).toBeLessThan(6);
    expect(receive(next)?.report.lackingAges).toBeUndefined();
    pass(30_000);
    expect(receive(send(of(31_005)))?.report.lackingAges?.get("GPU-0")?.unwell).toBe(31_005);
  });

  test("leaves what did not change as the same objects", () => {
    const { send, receive } = wire();
    const before = receive(send(busy([1, 2])))?.report.devices;
    const after = receive(send(busy([1, 3])))?.report.devices;
    expect(after?.[0]).toBe(before?.[0] as never);
    expect(after?.[1]?.readings.utilizationPercent).toBe(3);
    expect(before?.[1]?.readings.utilizationPercent).toBe(2);
  });

  test("before the first whole one says nothing", () => {
    expect(
      snapshotDecoder()(create(NodeSnapshotSchema, { keys: [1], values: [5] })),
    ).toBeUndefined();
  });
});

describe("a receiver", () => {
  const first = () => {
    const decode = snapshotDecoder();
    const encode = snapshotEncoder({ startedAtMs: 1, monotonicMs: () => 0, wholeEveryMs: 1 });
    decode(create(NodeSnapshotSchema, encode(busy([1]))));
    return decode;
  };

  test.each([
    [
      "a device that was never named",
      { keys: [65], values: [5] },
      "keys must be of its 1 devices, got one of device 1",
    ],
    ["a key without a value", { keys: [1], values: [] }, "its columns must be of one length"],
  ])("refuses %s", (_what, message, problem) => {
    const decode = first();
    expect(() => decode(create(NodeSnapshotSchema, message))).toThrow(problem);
  });

  test("skips readings of a newer agent", () => {
    const heard = first()(create(NodeSnapshotSchema, { keys: [63, 1], values: [5, 6] }));
    expect(heard?.report.devices[0]?.readings).toMatchObject({ utilizationPercent: 6 });
  });

  test.each([Number.NaN, -1, 300, Number.POSITIVE_INFINITY])("does not believe %d %%", (value) => {
    const heard = first()(create(NodeSnapshotSchema, { keys: [1], values: [value] }));
    const { readings, absences } = heard?.report.devices[0] ?? {};
    expect(readings?.utilizationPercent).toBeUndefined();
    expect(absences?.utilizationPercent).toBe("implausible");
  });

  test("takes a health that it does not know for a failing device", () => {
    const state = { node: "a", devices: [{ uuid: "GPU-1", health: 9, healthReason: "too new" }] };
    const heard = snapshotDecoder()(create(NodeSnapshotSchema, { state }));
    expect(heard?.report.devices[0]?.health).toEqual({ state: "failing", reason: "too new" });
  });
});
