/** The small functions that read and write text. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { closest } from "#core/closest.ts";
import { formatDuration, parseDurationMs } from "#core/duration.ts";
import { hostPort } from "#core/host-port.ts";

describe("closest()", () => {
  const words = ["Temperature", "utilization", "pod"];
  test.each([
    ["TEMPERATURE", "Temperature"],
    ["temprature", "Temperature"],
    ["utilizatjxx", "utilization"], // 3 edits of 11 letters
    ["utilizajxyz", undefined], // 4 edits
    ["pad", "pod"],
    ["pab", "pod"], // 2 edits of 3 letters
    ["xab", undefined],
  ])("%s is %p", (word, expected) => expect(closest(word, words)).toBe(expected as never));

  test("prefers the nearer word, whatever the order", () => {
    expect(closest("gpu", ["cpx", "gpx"])).toBe("gpx");
    expect(closest("gpu", ["gpx", "cpx"])).toBe("gpx");
  });
});

describe("durations", () => {
  test.each([
    ["500ms", 500],
    ["2s", 2_000],
    ["1.5m", 90_000],
    ["1h", 3_600_000],
  ])("%s has %d ms", (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  test.each(["", "5", "s", "-1s", "1 s", "1d", "1s1ms", ".5s"])("%p is none", (text) =>
    expect(parseDurationMs(text)).toBeUndefined(),
  );

  test.each([
    [0, "0ms"],
    [500, "500ms"],
    [1_001, "1001ms"],
    [2_000, "2s"],
    [90_000, "90s"],
    [120_000, "2m"],
    [7_200_000, "2h"],
  ])("%d ms are written %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

  test("are read back as they were written", () => {
    fc.assert(
      fc.property(fc.nat({ max: 10_000_000 }), (ms) => {
        expect(parseDurationMs(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

test.each([
  ["10.0.0.1", "10.0.0.1:6000"],
  ["node-a", "node-a:6000"],
  ["fd00::1", "[fd00::1]:6000"],
])("hostPort() of %s is %s", (address, expected) =>
  expect(hostPort({ address, port: 6_000 })).toBe(expected),
);
