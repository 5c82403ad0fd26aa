import { expect, test } from "bun:test";
import { logRepeatMs, logRepeatsMax } from "#core/limits.ts";
import { type LogOptions, lineLog } from "#core/log.ts";
import { manualClock } from "../support/manual-clock.ts";

function scene(options: Partial<LogOptions> = {}) {
  const clock = manualClock();
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  return {
    clock,
    lines,
    log: lineLog({ level: "info", format: "json", write, clock, ...options }),
  };
}

test("lineLog() writes one JSON object a line, and leaves out what is below its level", () => {
  const { log, lines } = scene();
  log("debug", "not wanted");
  log("warn", "sample stale", { gpuUuid: "GPU-1", ageMs: 9000, missing: undefined });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    level: "warn",
    event: "sample stale",
    gpuUuid: "GPU-1",
    ageMs: 9000,
  });
  expect(lines[0]).toEndWith("}\n");
});

test("lineLog() writes text for people", () => {
  const { log, lines } = scene({ format: "text" });
  log("error", "call failed", { method: "a b", tries: 2, missing: undefined });
  expect(lines[0]).toEndWith(' ERROR call failed method="a b" tries=2\n');
});

test.each(["json", "text"] as const)(
  "lineLog() writes names with line ends in one line of %s",
  (format) => {
    const { log, lines } = scene({ format });
    log("warn", "profiles file is invalid", { path: "a\nb", problems: ["c\nd", "e"] });
    expect(lines.join("").split("\n")).toHaveLength(2);
  },
);

test("lineLog() holds back what repeats itself, and says later how often it did", () => {
  const { clock, log, lines } = scene();
  for (let call = 0; call < 5; call += 1) log("warn", "refused", { namespace: "a" });
  log("warn", "refused", { namespace: "b" });
  expect(lines).toHaveLength(2);
  clock.advance(logRepeatMs);
  log("warn", "refused", { namespace: "a" });
  log("warn", "refused", { namespace: "b" });
  expect(lines.slice(2).map((line) => JSON.parse(line).suppressed)).toEqual([4, undefined]);
});

test("lineLog() says how often it held a line back, whatever else was written before it", () => {
  const { clock, log, lines } = scene();
  for (let call = 0; call < 3; call += 1) log("warn", "refused", { namespace: "a" });
  clock.advance(logRepeatMs);
  log("warn", "refused", { namespace: "b" });
  log("warn", "refused", { namespace: "a" });
  expect(lines.slice(1).map((line) => JSON.parse(line).suppressed)).toEqual([undefined, 2]);
});

test("lineLog() remembers the newest lines only", () => {
  const { log, lines } = scene();
  for (let nth = 0; nth <= logRepeatsMax; nth += 1) log("warn", "refused", { nth });
  log("warn", "refused", { nth: logRepeatsMax });
  expect(lines).toHaveLength(logRepeatsMax + 1);
  log("warn", "refused", { nth: 0 });
  expect(lines).toHaveLength(logRepeatsMax + 2);
});

test("lineLog() writes every debug line", () => {
  const { log, lines } = scene({ level: "debug" });
  for (let call = 0; call < 5; call += 1) log("debug", "value answered", { value: 1 });
  expect(lines).toHaveLength(5);
});
