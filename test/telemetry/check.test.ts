import { describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { readSnapshot } from "#telemetry/check.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";

type State = NonNullable<Parameters<typeof create<typeof NodeSnapshotSchema>>[1]>["state"];
const device = { uuid: "GPU-1" };
const holder = { namespace: "team", pod: "server-0", container: "main" };
const devices = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ uuid: `GPU-${index}` }));
const holders = (count: number) => Array(count).fill(holder);
const conditions = (count: number, detail = "") =>
  Array.from({ length: count }, (_, at) => ({ kind: at + 1, detail }));
const held = (more: object) => ({ devices: [{ ...device, holders: [{ ...holder, ...more }] }] });

/** As an agent sends it and a scaler reads it. */
function report(state: State, columns: object = {}) {
  const init = { state: { node: "node-a", ...state } as State, ...columns };
  const bytes = toBinary(NodeSnapshotSchema, create(NodeSnapshotSchema, init));
  return snapshotDecoder()(readSnapshot(bytes));
}

describe("a report is used", () => {
  test.each<[string, State]>([
    ["512 devices", { devices: devices(512) }],
    ["256 holders of a device", { devices: [{ ...device, holders: holders(256) }] }],
    ["the longest names", held({ namespace: "n".repeat(63), pod: "p".repeat(253), sharedBy: 1 })],
    ["32 conditions of a device", { devices: [{ ...device, conditions: conditions(32) }] }],
    [
      "the longest condition",
      { devices: [{ ...device, conditions: conditions(1, "c".repeat(1_024)) }] },
    ],
    ["the slowest sampling", { sampleIntervalMs: 60_000 }],
  ])("with %s", (_what, state) => expect(report(state)?.report.name).toBe("node-a"));
});

describe("a report is refused", () => {
  const long = (least: number, most: number, length: number) =>
    `must have ${least} to ${most} characters, got ${length}, beginning`;
  test.each<[string, State, string]>([
    ["513 devices", { devices: devices(513) }, "devices must be at most 512, got 513"],
    [
      "257 holders of a device",
      { devices: [device, { uuid: "GPU-2", holders: holders(257) }] },
      "holders of device 1 must be at most 256, got 257",
    ],
    [
      "4,097 holders",
      { devices: devices(17).map((each) => ({ ...each, holders: holders(241) })) },
      "holders must be at most 4096, got 4097",
    ],
    [
      "33 conditions of a device",
      { devices: [{ ...device, conditions: conditions(33) }] },
      "conditions of device 0 must be at most 32, got 33",
    ],
    [
      "a long condition",
      { devices: [{ ...device, conditions: conditions(2, "c".repeat(1_025)) }] },
      `devices.0.conditions.0.detail ${long(0, 1_024, 1_025)}`,
    ],
    [
      "a device shared by nobody",
      held({ sharedBy: 0 }),
      "devices.0.holders.0.sharedBy must be at least 1, got 0",
    ],
    ["no name", { node: "" }, 'node must have 1 to 253 characters, got ""'],
    ["a long name", { node: "n".repeat(254) }, `node ${long(1, 253, 254)}`],
    ["a device without a uuid", { devices: [{}] }, "devices.0.uuid must have 1 to 256 characters"],
    [
      "a device twice",
      { devices: [device, device] },
      'devices.1.uuid must be there once, got "GPU',
    ],
    [
      "a long uuid",
      { devices: [{ uuid: "u".repeat(257) }] },
      `devices.0.uuid ${long(1, 256, 257)}`,
    ],
    ["a long model", { devices: [{ ...device, model: "m".repeat(257) }] }, "devices.0.model must"],
    ["a long reason", { devices: [{ ...device, healthReason: "r".repeat(1025) }] }, "healthReason"],
    [
      "a long driver version",
      { driverVersion: "v".repeat(257) },
      `driverVersion ${long(0, 256, 257)}`,
    ],
    ["no namespace", held({ namespace: "" }), "devices.0.holders.0.namespace must have 1 to 63"],
    ["a long namespace", held({ namespace: "n".repeat(64) }), `namespace ${long(1, 63, 64)}`],
    ["a long pod", held({ pod: "p".repeat(254) }), `pod ${long(1, 253, 254)}`],
    ["a long container", held({ container: "c".repeat(64) }), `container ${long(1, 63, 64)}`],
    ["no container", held({ container: "" }), "container must have 1 to 63 characters"],
    [
      "slow sampling",
      { sampleIntervalMs: 60_001 },
      "sampleIntervalMs must be at most 60000, got 60001",
    ],
  ])("with %s", (_what, state, problem) => {
    expect(() => report(state)).toThrow(
      expect.objectContaining({
        code: "report-invalid",
        message: expect.stringContaining(problem),
      }),
    );
  });

  test("that names the node, the rule and what to do", () => {
    expect(() => report({ devices: devices(513) })).toThrow(
      "Cannot use the report of node node-a: devices must be at most 512, got 513; see that its " +
        "agent is of this version and alone at its address",
    );
  });

  test("whose changes are more than its devices have readings", () => {
    const keys = Array(65).fill(1);
    expect(() => report({ devices: [device] }, { keys, values: keys })).toThrow(
      "keys must be at most 64 for its devices, got 65",
    );
    expect(() =>
      report({ devices: [device] }, { absentKeys: keys, absences: Array(65).fill(1) }),
    ).toThrow("keys must be at most 64 for its devices, got 65");
  });

  const use = (changes: object) => ({
    deviceUses: [{ use: 1, podUids: ["a", "b"], parts: [0.5, 0.25], ...changes }],
  });
  test("whose pods have parts of a device that are no parts of it", () => {
    const refused = (changes: object) => expect(() => report({ devices: [device] }, use(changes)));
    const together = "its parts must be from 0 to 1 and at most 1 together, got";
    refused({ parts: [0.5, 0.6] }).toThrow(`deviceUses of device 0: ${together} 0.5, 0.6`);
    refused({ parts: [-0.5, 0.6] }).toThrow(together);
    refused({ parts: [Number.NaN, 0.6] }).toThrow(together);
    refused({ parts: [0.5] }).toThrow("2 podUids must have as many parts, got 1");
    refused({ podUids: ["a", "a"] }).toThrow("each of its podUids must be there once");
    refused({ podUids: ["a", "b".repeat(64)] }).toThrow(`podUid ${long(1, 63, 64)}`);
    refused({ position: 1 }).toThrow("deviceUses of device 1: its devices are 1");
    expect(report({ devices: [device] }, use({}))?.report.devices[0]?.uses?.smPercent).toEqual(
      new Map([
        ["a", 0.5],
        ["b", 0.25],
      ]),
    );
  });

  test("with more uses than devices have, or pods than a node runs", () => {
    const empty = (count: number) => ({ deviceUses: Array(count).fill({ use: 1 }) });
    expect(() => report({ devices: [device] }, empty(2_561))).toThrow(
      "deviceUses must be at most 2560, got 2561",
    );
    const podUids = Array(4_097).fill("a");
    expect(() => report({ devices: [device] }, use({ podUids }))).toThrow(
      "pods of deviceUses must be at most 4096, got 4097",
    );
  });

  test("a use that a newer agent tells is left out", () => {
    expect(
      report({ devices: [device] }, use({ use: 63 }))?.report.devices[0]?.uses,
    ).toBeUndefined();
  });

  test.each<[string, readonly number[]]>([
    ["is no snapshot", [0xff, 0xff, 0xff]],
    ["ends in the middle", [0x1a, 0x7f, 0x0a]],
    ["is nested without end", Array(4_096).fill(0x0b)],
  ])("that %s", (_what, bytes) => {
    expect(() => readSnapshot(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: "report-invalid" }),
    );
  });

  test("that begins anew within itself, for then its parts would add up", () => {
    const empty = [0x1a, 0x02, 0x3a, 0x00];
    expect(() => readSnapshot(Uint8Array.from([...empty, ...empty]))).toThrow(
      "states of one message must be at most 1, got 2",
    );
  });

  test("of 1 MiB of empty devices, before they take memory", () => {
    const count = 524_282;
    const bytes = new Uint8Array(1024 * 1024);
    const body = 2 * count;
    bytes.set([0x1a, (body & 0x7f) | 0x80, ((body >> 7) & 0x7f) | 0x80, body >> 14]);
    for (let device = 0; device < count; device += 1) bytes[4 + 2 * device] = 0x3a;
    const before = process.memoryUsage().heapUsed;
    expect(() => readSnapshot(bytes.subarray(0, 4 + body))).toThrow(
      `devices must be at most 512, got ${count}`,
    );
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 1024 * 1024);
  });
});

describe("conditions", () => {
  const told = (said: readonly object[]) =>
    report({ devices: [{ ...device, conditions: [...said] }] })?.report.devices[0]?.conditions;
  test("of a kind that is not known here are left out, and the others kept", () => {
    const known = { kind: 7, detail: "too hot" };
    expect(
      told([{ kind: 99, detail: "of a newer agent" }, known, { kind: 0, detail: "none" }]),
    ).toEqual([{ kind: "thermal-slowdown", detail: "too hot" }]);
  });
  test("of one kind are one", () => {
    expect(
      told([
        { kind: 5, detail: "one" },
        { kind: 5, detail: "two" },
      ]),
    ).toEqual([{ kind: "row-remap-failed", detail: "two" }]);
  });
  test("of an agent that tells none are none", () => expect(told([])).toEqual([]));
});
