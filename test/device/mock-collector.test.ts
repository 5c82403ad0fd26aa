import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { mockCollector } from "#device/mock/collector.ts";
import { readingNames } from "#metric/reading.ts";
import { manualClock } from "../support/manual-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "mock-collector-"));
afterAll(() => rmSync(folder, { recursive: true }));
const nothing = { pcieThroughput: false };
let files = 0;

function play(text?: string) {
  const clock = manualClock(5_000);
  const slept: number[] = [];
  const lines: unknown[][] = [];
  const log: Log = (...line) => lines.push(line);
  const path = join(folder, `${files++}.yaml`);
  const write = (fresh: string) => writeFileSync(path, fresh);
  if (text !== undefined) write(text);
  const file = text === undefined ? undefined : path;
  const collector = mockCollector({ file, clock, log, sleep: (ms) => slept.push(ms) });
  const at = (seconds: number, demand = nothing) => {
    clock.advance(5_000 + seconds * 1_000 - clock.monotonicMs());
    return collector.collect(demand);
  };
  return { at, collector, lines, path, slept, write };
}

const two = (faults: string) =>
  `devices: [{ readings: { encoderPercent: 3 }, faults: ${faults} }, { readings: { encoderPercent: 4 } }]`;

test("conditions are those of the file, and a device without has none", () => {
  const { at } = play("devices: [{ conditions: [{ kind: power-brake, detail: low power }] }, {}]");
  expect(at(0).devices.map(({ conditions }) => conditions)).toEqual([
    [{ kind: "power-brake", detail: "low power" }],
    [],
  ]);
  expect(() => play("devices: [{ conditions: [{ kind: hot, detail: x }] }]").at(0)).toThrow("kind");
  const twice = "{ kind: power-brake, detail: x }";
  expect(() => play(`devices: [{ conditions: [${twice}, ${twice}] }]`).at(0)).toThrow("once");
});

describe("the embedded default", () => {
  test("is four devices whose load goes from about 5 to about 97 % in two minutes", () => {
    const { at } = play();
    const loads = Array.from({ length: 121 }, (_, second) =>
      at(second).devices.map(({ readings }) => readings.utilizationPercent ?? Number.NaN),
    );
    for (const device of [0, 1, 2, 3]) {
      const own = loads.map((each) => each[device] ?? Number.NaN);
      expect(Math.min(...own)).toBeWithin(4, 7);
      expect(Math.max(...own)).toBeWithin(95, 98);
    }
  });

  test("is never implausible, and has every reading or says that it has not", () => {
    const { at } = play();
    for (let second = 0; second < 240; second += 7)
      for (const { readings, absences, health } of at(second, { pcieThroughput: true }).devices) {
        expect(Object.values(absences).filter((why) => why !== "unsupported")).toEqual([]);
        const named = [...Object.keys(readings), ...Object.keys(absences)].toSorted();
        expect(named).toEqual([...readingNames].toSorted());
        expect(health).toEqual({ state: "ok" });
      }
  });
});

describe("a device", () => {
  test("has what its file says, and nothing else", () => {
    const { at } = play("devices: [{ model: A, readings: { encoderPercent: 3 } }]");
    const [device] = at(0).devices;
    expect(device?.readings).toEqual({ encoderPercent: 3 });
    expect(device?.absences.utilizationPercent).toBe("unsupported");
    expect(device).not.toHaveProperty("faults");
    expect(device).not.toHaveProperty("aheadSeconds");
  });

  test("counts PCIe bytes only when somebody asks", () => {
    const { at } = play("devices: [{ readings: { pcieTxKilobytesPerSecond: 7 } }]");
    expect(at(0).devices[0]?.absences.pcieTxKilobytesPerSecond).toBe("pending");
    const asked = at(1, { pcieThroughput: true });
    expect(asked.devices[0]?.readings).toEqual({ pcieTxKilobytesPerSecond: 7 });
  });

  test("is lost from one second to another, and still there", () => {
    const { at } = play(two("{ lost: { fromSeconds: 10, toSeconds: 20 } }"));
    const states = [0, 10, 19.9, 20].map((second) => at(second).devices.map((d) => d.health.state));
    expect(states).toEqual([
      ["ok", "ok"],
      ["lost", "ok"],
      ["lost", "ok"],
      ["ok", "ok"],
    ]);
  });

  test("has no reading while it is lost", () => {
    const [lost, other] = play(two("{ lost: true }")).at(0).devices;
    expect(lost?.readings).toEqual({});
    expect(lost?.absences).toMatchObject({
      encoderPercent: "failed",
      decoderPercent: "unsupported",
    });
    expect(other?.readings).toEqual({ encoderPercent: 4 });
  });

  test("does not support what the file takes from it", () => {
    const [less, other] = play(two("{ unsupported: [encoderPercent] }")).at(0).devices;
    expect(less?.absences.encoderPercent).toBe("unsupported");
    expect(other?.readings).toEqual({ encoderPercent: 4 });
  });

  test("blocks the thread while it is slow, and for ever when it hangs", () => {
    const { at, lines, slept } = play(
      two("{ slow: { milliseconds: 70, fromSeconds: 1 }, hang: { fromSeconds: 2 } }"),
    );
    at(0);
    expect(slept).toEqual([]);
    at(1);
    expect(slept).toEqual([70]);
    at(2);
    expect(slept).toEqual([70, 70, Number.POSITIVE_INFINITY]);
    expect(lines).toEqual([["warn", "mock collector hangs, as its file says"]]);
  });

  test("shares the faults of all devices", () => {
    const { at, slept } = play(
      "count: 2\ndevice: { readings: { encoderPercent: 1, decoderPercent: 2 } }\n" +
        "faults: { lost: { fromSeconds: 1 }, slow: { milliseconds: 5 }, unsupported: [encoderPercent] }",
    );
    expect(at(0).devices.map(({ readings }) => readings)).toEqual([
      { decoderPercent: 2 },
      { decoderPercent: 2 },
    ]);
    expect(at(1).devices.map(({ health }) => health.state)).toEqual(["lost", "lost"]);
    expect(slept).toEqual([5, 5]);
  });

  test("of a count runs ahead of the one before it", () => {
    const { at } = play(
      "count: 2\nstaggerSeconds: 5\ndevice: { readings: { encoderPercent: " +
        "{ wave: saw, low: 0, high: 60, periodSeconds: 60 } } }",
    );
    at(0);
    const [first, second] = at(10).devices;
    expect(first?.readings.encoderPercent).toBeCloseTo(10);
    expect(second?.readings.encoderPercent).toBeCloseTo(15);
  });
});

describe("a file", () => {
  const load = (percent: number) => `devices: [{ readings: { encoderPercent: ${percent} } }]`;

  test("that is not there is a fault, until it is", () => {
    const { at, path, write } = play("");
    rmSync(path);
    const refused = () => at(0);
    expect(refused).toThrow(Fault);
    expect(refused).toThrow(`Cannot play mock file ${path}: the file: cannot be read: ENOENT`);
    write(load(3));
    expect(at(1)).toMatchObject({ session: 1, devices: [{ readings: { encoderPercent: 3 } }] });
  });

  test("that is invalid is a fault with every problem", () => {
    const { at, path } = play("devices: [{ modle: a, idnex: 1 }]");
    const problems = [
      "line 1, column 13: devices.0.modle: unknown key; did you mean model?",
      "line 1, column 23: devices.0.idnex: unknown key; did you mean index?",
    ];
    expect(() => at(0)).toThrow(
      expect.objectContaining({ code: "file-invalid", facts: { path, problems } }),
    );
  });

  test("that is too large is a fault", () => {
    const { at } = play(`# ${"x".repeat(256 * 1024)}\n${load(3)}`);
    expect(() => at(0)).toThrow("the file: cannot be read: 262");
  });

  test("that is a FIFO is a fault at once", () => {
    const { at, path } = play();
    Bun.spawnSync(["mkfifo", path]);
    expect(() => at(0)).not.toThrow();
    const named = mockCollector({
      file: path,
      clock: manualClock(),
      log: () => {},
      sleep: () => {},
    });
    expect(() => named.collect(nothing)).toThrow("a FIFO, not a regular file");
  });

  test("that changes is played from its beginning, as another session", () => {
    const { at, write } = play(load(3));
    expect(at(0)).toMatchObject({ session: 1 });
    write(
      "devices: [{ readings: { encoderPercent: { wave: saw, low: 0, high: 60, periodSeconds: 60 } } }]",
    );
    expect(at(100)).toMatchObject({ session: 2, devices: [{ readings: { encoderPercent: 0 } }] });
    expect(at(101)).toMatchObject({ session: 2 });
  });

  test("that breaks is said once, and what was played goes on", () => {
    const { at, lines, path, write } = play(load(3));
    at(0);
    write("devices: nonsense");
    for (const second of [1, 2, 3])
      expect(at(second)).toMatchObject({
        session: 1,
        devices: [{ readings: { encoderPercent: 3 } }],
      });
    const problems = [expect.stringContaining("devices: must be a list of devices")];
    const line = ["warn", "mock file is invalid, the one before it goes on", { path, problems }];
    expect(lines).toEqual([line]);
    rmSync(path);
    at(4);
    at(5);
    expect(lines).toHaveLength(2);
    write(load(44));
    expect(at(6)).toMatchObject({ session: 2, devices: [{ readings: { encoderPercent: 44 } }] });
  });
});
