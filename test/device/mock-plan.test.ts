import { describe, expect, test } from "bun:test";
import { parsePlan } from "#device/mock/plan.ts";
import { readingNames, readingRanges } from "#metric/reading.ts";

const one = (lines: string) => `devices:\n  - model: A\n    ${lines}`;
const reading = (name: string, value: string) => one(`readings: { ${name}: ${value} }`);
const encoder = (value: string) => reading("encoderPercent", value);
const flow = (keys: Readonly<Record<string, string>>) =>
  `{ ${Object.entries(keys)
    .map(([key, value]) => `${key}: ${value}`)
    .join(", ")} }`;
const wave = (keys: Readonly<Record<string, string>>) =>
  encoder(flow({ wave: "saw", low: "1", high: "2", periodSeconds: "3", ...keys }));
const step = (keys: Readonly<Record<string, string>>) =>
  encoder(`{ steps: [${flow({ forSeconds: "1", value: "1", ...keys })}] }`);
const fault = (value: string) => `devices: []\nfaults: ${value}`;

describe("parsePlan() refuses, with one problem,", () => {
  test.each([
    ["what is not YAML", "a: [1,\nb: }", "line 2, column 1: must be one YAML document: Flow sequ"],
    ["an empty file", "", "the file: must be a mapping of keys, got null"],
    ["a list", "- 1", "the file: must be a mapping of keys, got Array"],
    ["neither way to list devices", "driverVersion: x", "either devices, or count and device"],
    ["both ways", "devices: []\ncount: 2\ndevice: {}", "either devices, or count and device"],
    ["a count without a device", "count: 2", "either devices, or count and device"],
    [
      "a broken count",
      "count: 1.5\ndevice: {}",
      "count: must be a whole number from 0 to 256, got",
    ],
    ["too many by count", "count: 257\ndevice: {}", "count: must be a whole number from 0 to 256"],
    ["too many", `devices: [${"{},".repeat(257)}]`, "devices: must not be longer than 256"],
    ["devices that are no list", "devices: 3", "devices: must be a list of devices, got 3"],
    ["a misspelt key", "devices: []\ncuont: 2", "cuont: unknown key; did you mean count?"],
    [
      "a key like no other",
      "devices: []\nzzzzzz: 2",
      "zzzzzz: unknown key; allowed: driverVersion,",
    ],
    ["a misspelt reading", reading("utilisationPercent", "3"), "did you mean utilizationPercent?"],
    ["text for a number", one('index: "0"'), 'devices.0.index: must be a number, got "0"'],
    [
      "a negative index",
      one("index: -1"),
      "devices.0.index: must be a whole number from 0 to 4095",
    ],
    ["a number for text", one("uuid: 12"), "devices.0.uuid: must be text (in quotes if it looks"],
    ["an empty text", one('uuid: ""'), "devices.0.uuid: must not be empty"],
    ["a short bus id", one('pciBusId: "3b:00.0"'), 'must look like 0000:3b:00.0, got "3b:00.0"'],
    ["a reading that is text", encoder("high"), 'must be a number, a wave or steps, got "high"'],
    ["a reading that is NaN", encoder(".nan"), "must be a number, a wave or steps, got NaN"],
    ["an unknown wave", wave({ wave: "sin" }), "must be one of sine, triangle, square, saw, got"],
    [
      "a misspelt wave key",
      wave({ hihg: "3" }),
      "encoderPercent.hihg: unknown key; did you mean high?",
    ],
    ["a wave of no time", wave({ periodSeconds: "0" }), "periodSeconds: must be above 0, got 0"],
    [
      "a wave upside down",
      wave({ low: "3" }),
      "encoderPercent: low must not be above high, got 3 > 2",
    ],
    ["a wave without end", wave({ high: ".inf" }), "high: must be a number from 0 to 100, got Inf"],
    ["no steps", encoder("{ steps: [] }"), "steps: must not be empty"],
    ["steps that are none", encoder("{ steps: 3 }"), "steps: must be a list of steps, got 3"],
    ["a step of no time", step({ forSeconds: "0" }), "steps.0.forSeconds: must be above 0, got 0"],
    ["a step to nowhere", encoder("{ steps: [{ forSeconds: 1 }] }"), "steps.0.value: required"],
    ["a lost that is a number", fault("{ lost: 3 }"), "lost: must be true, or fromSeconds and"],
    ["a lost that is false", fault("{ lost: false }"), "lost: must be true, or fromSeconds and"],
    ["a span backwards", fault("{ hang: { fromSeconds: 3, toSeconds: 2 } }"), "must be below toS"],
    ["a slow without a time", fault("{ slow: {} }"), "faults.slow.milliseconds: required"],
    [
      "a slow for ever",
      fault("{ slow: { milliseconds: .inf } }"),
      "milliseconds: must be at most 1000000000, got",
    ],
    ["an unknown reading", fault("{ unsupported: [x] }"), "unsupported.0: must be one of utilizat"],
    ["an unknown fault", fault("{ lots: true }"), "faults.lots: unknown key; did you mean lost?"],
    ["a uuid twice", "devices: [{ uuid: a }, { uuid: a }]", "devices.1.uuid: a is there twice"],
    ["an index twice", "devices: [{ index: 1 }, { uuid: a }]", "devices.1.index: 1 is there twice"],
    [
      "more memory in use than there is",
      one("readings: { memoryTotalBytes: 10, memoryUsedBytes: 11 }"),
      "devices.0.readings.memoryUsedBytes: must not exceed memoryTotalBytes, 11 > 10",
    ],
    [
      "a wave of memory that grows above what there is",
      "count: 1\ndevice: { readings: { memoryTotalBytes: 10, memoryUsedBytes: " +
        "{ wave: saw, low: 0, high: 11, periodSeconds: 1 } } }",
      "line 2, column 62: device.readings.memoryUsedBytes: must not exceed memoryTotalBytes, 11 > 10",
    ],
    ["a key twice", "count: 1\ncount: 2\ndevice: {}", "line 2, column 1: must be one YAML doc"],
    ["a share above all", reading("utilizationPercent", "150"), "from 0 to 100, got 150"],
    ["a negative power", reading("powerAverageMilliwatts", "-5"), "from 0 to 100000000, got -5"],
    ["a cold beyond all", reading("temperatureCelsius", "-500"), "from -50 to 200, got -500"],
    ["a wave that leaves the range", wave({ high: "101" }), "high: must be a number from 0 to 100"],
    ["a wave of NaN", wave({ low: ".nan" }), "encoderPercent.low: must be a number, got NaN"],
    ["a step that leaves the range", step({ value: "-1" }), "0.value: must be a number from 0 to"],
    ["a reading of nothing", reading("encoderPercent", ""), "a number, a wave or steps, got null"],
    ["readings of nothing", one("readings:"), "readings: must be a mapping of keys, got null"],
    [
      "a stagger that outlasts every number",
      "count: 2\ndevice: {}\nstaggerSeconds: 1e300",
      "line 3, column 17: staggerSeconds: must be a number from -1000000000 to 1000000000",
    ],
  ])("%s", (_what, text, problem) => {
    const { problems } = parsePlan(text);
    expect(problems).toEqual([expect.stringContaining(problem)]);
  });
});

test("parsePlan() names every problem at once, each with its place", () => {
  const { problems } = parsePlan("devices: [{ modle: A, idnex: 1, minor: x }]\nextra: 1");
  expect(problems).toEqual([
    "line 1, column 13: devices.0.modle: unknown key; did you mean model?",
    "line 1, column 23: devices.0.idnex: unknown key; did you mean index?",
    'line 1, column 40: devices.0.minor: must be a number, got "x"',
    expect.stringContaining("line 2, column 1: extra: unknown key"),
  ]);
});

test.each(readingNames)("parsePlan() takes %s within its range, and not beyond", (name) => {
  const { least, most } = readingRanges[name];
  for (const value of [least, most])
    expect(parsePlan(reading(name, `${value}`)).plan?.devices[0]?.readings).toEqual({
      [name]: value,
    });
  for (const value of [least - 1, most * 2])
    expect(parsePlan(reading(name, `${value}`)).problems).toEqual([
      expect.stringContaining(`${name}: must be a number from ${least} to ${most}, got ${value}`),
    ]);
});

describe("parsePlan() fills in", () => {
  test("an identity from the position", () => {
    const { plan } = parsePlan("devices: [{}, { index: 300, model: B, parentUuid: GPU-x }]");
    expect(plan?.devices).toMatchObject([
      {
        uuid: "GPU-00000000-0000-4000-8000-000000000000",
        index: 0,
        minor: 0,
        pciBusId: "0000:00:00.0",
        vendor: "mock",
        model: "Mock GPU",
      },
      { index: 300, minor: 300, pciBusId: "0001:2c:00.0", model: "B", parentUuid: "GPU-x" },
    ]);
  });

  test("as many devices as count says, each ahead of the one before", () => {
    const { plan } = parsePlan("count: 3\nstaggerSeconds: 5\ndevice: { model: C }");
    expect(plan?.devices.map(({ index, model }) => [index, model])).toEqual([
      [0, "C"],
      [1, "C"],
      [2, "C"],
    ]);
    expect(plan?.devices.map(({ aheadSeconds }) => aheadSeconds)).toEqual([0, 5, 10]);
  });
});
