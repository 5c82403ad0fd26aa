/** The small functions that read and write text. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { didYouMean, orList, suggestions } from "#core/closest.ts";
import { formatDuration, parseDurationMs } from "#core/duration.ts";
import { hostPort } from "#core/host-port.ts";

describe("suggestions()", () => {
  const words = ["Temperature", "utilization", "pod"];
  test.each([
    ["TEMPERATURE", "Temperature"],
    ["temprature", "Temperature"],
    ["utilizatjxx", "utilization"], // 3 edits of 11 letters
    ["utilizajxyz", undefined], // 4 edits
    ["pad", "pod"],
    ["pdo", "pod"], // neighbours exchanged
    ["pab", undefined], // 2 edits of 3 letters
    ["xab", undefined],
    ["po", "pod"],
    ["p", undefined],
    ["", undefined],
  ])("of %p are %p", (word, expected) =>
    expect(suggestions(word, words)).toEqual(expected === undefined ? [] : [expected]),
  );

  test("prefer the nearer word, whatever the order", () => {
    expect(suggestions("queue", ["qveve", "queuf"])).toEqual(["queuf"]);
    expect(suggestions("queue", ["queuf", "qveve"])).toEqual(["queuf"]);
  });

  test("are all that are equally near, and none when those are many", () => {
    expect(suggestions("abc", ["abd", "abe", "xyz"])).toEqual(["abd", "abe"]);
    expect(suggestions("abc", ["abd", "abe", "abf", "abg", "abh"])).toEqual([]);
  });

  test("find the words that have it as a part, and none when those are many", () => {
    const names = ["vllm-queue-depth", "vllm-kv-cache", "tgi-queue-depth", "targetValue", "a-v"];
    expect(suggestions("vllm", names)).toEqual(["vllm-queue-depth", "vllm-kv-cache"]);
    expect(suggestions("queue_depth", names)).toEqual(["vllm-queue-depth", "tgi-queue-depth"]);
    expect(suggestions("value", names)).toEqual(["targetValue"]);
    expect(suggestions("depth-queue", names)).toEqual([]);
    expect(suggestions("a", names)).toEqual([]);
    expect(
      suggestions(
        "inner",
        ["a", "b", "c", "d", "e"].map((end) => `inner-${end}`),
      ),
    ).toEqual([]);
  });

  test("begin with what the field's word means, where it is allowed", () => {
    const aliases = { mean: ["avg"], average: ["avg", "mean"] };
    expect(suggestions("Mean", ["max", "min", "avg"], aliases)).toEqual(["avg"]);
    expect(suggestions("average", ["max", "mean"], aliases)).toEqual(["mean"]);
    expect(suggestions("mean", ["means"], aliases)).toEqual(["means"]);
    expect(suggestions("constructor", ["max"], aliases)).toEqual([]);
  });

  test("read as a sentence", () => {
    const names = ["ab-x", "ab-y", "ab-z"];
    expect(didYouMean("ab-x1", names)).toBe("; did you mean ab-x?");
    expect(didYouMean("x", names)).toBe("");
    expect(orList(names)).toBe("ab-x, ab-y or ab-z");
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
