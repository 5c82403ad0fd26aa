import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBinary } from "../support/binary.ts";

describe("the binary refuses with exit 2 and one line", () => {
  test.each([
    [
      ["serv"],
      "unknown command serv; did you mean serve? allowed: serve explain advise top snapshot simulate generate validate profiles completion version",
    ],
    [
      [],
      "no command is given; allowed: serve explain advise top snapshot simulate generate validate profiles completion version",
    ],
    [["serve", "--prot", "1"], "unknown flag --prot; did you mean --port? allowed: --role --bind"],
    [["serve", "--port"], "--port must be a port from 0 to 65535, 0 for a free one, got nothing"],
    [
      ["serve", "--port", "65536"],
      '--port must be a port from 0 to 65535, 0 for a free one, got "65536"',
    ],
    [["serve", "--port", "1", "--port", "2"], "--port is given twice"],
    [
      ["serve", "--bind", "here"],
      '--bind must be an IP address of this machine, or localhost, got "here"',
    ],
    [
      ["serve", "--collector", "dcgm"],
      '--collector must be one of auto, nvml, amdgpu, exporter, mock, got "dcgm"',
    ],
    [
      ["serve", "--sample-interval", "1"],
      "--sample-interval must be a duration such as 500ms, 1s or 2m",
    ],
    [["serve", "--sample-interval", "0s"], 'from 100ms to 1m, got "0s"'],
    [["serve", "--device-watchdog", "1d"], "--device-watchdog must be a duration"],
    [["serve", "--log-level", "trace"], "--log-level must be one of debug, info, warn, error"],
    [["serve", "--log-format", "xml"], "--log-format must be one of json, text"],
    [["serve", "now"], 'unexpected argument "now"'],
    [["serve", "--mock", "x.yaml"], "--mock is for --collector mock, got --collector auto"],
    [
      ["serve", "--collector", "mock", "--nvml-library", "/x.so"],
      "--nvml-library is for --collector nvml or auto, got --collector mock",
    ],
    [["snapshot", "--format", "yaml"], "--format must be one of table, json, csv"],
    [["snapshot", "--port", "1"], "unknown flag --port"],
    [["simulate", "--goal", "101"], '--goal must be a number from 0 to 100, got "101"'],
    [["simulate", "--seed", "-1"], "--seed must be a whole number from 0 to 999999999"],
    [["simulate", "--prompt-tokens", "9/5"], "--prompt-tokens must be a whole number from 1"],
    [["version", "--long"], "unknown flag --long"],
  ])("%j", async (args, line) => {
    const { exitCode, stdout, stderr } = await runBinary(args);
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  });
});

describe("the binary explains itself", () => {
  test.each([
    [["--help"], "usage: keda-gpu-scaler COMMAND [FLAGS]"],
    [["serve", "--help"], "--device-watchdog DURATION"],
    [["snapshot", "--help"], "--format table|json|csv"],
    [["simulate", "--help"], "--scaledobject PATH"],
    [["version", "--help"], "usage: keda-gpu-scaler version"],
  ])("%j", async (args, text) => {
    const { exitCode, stdout, stderr } = await runBinary(args);
    expect(stdout).toContain(text);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test("version names the release", async () => {
    const { version } = await Bun.file("package.json").json();
    const { stdout } = await runBinary(["version"]);
    expect(stdout).toStartWith(`keda-gpu-scaler ${version} (`);
  });
});

test("the binary reads neither .env nor bunfig.toml of its working directory", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "cwd-"));
  writeFileSync(join(cwd, ".env"), "BUN_OPTIONS=--version\nNODE_OPTIONS=--nonsense\n");
  writeFileSync(join(cwd, "preload.ts"), "process.exit(77);\n");
  writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
  const { exitCode, stdout } = await runBinary(["version"], { cwd });
  expect(stdout).toStartWith("keda-gpu-scaler ");
  expect(exitCode).toBe(0);
});

describe("snapshot of the mock devices", () => {
  const snapshot = (format: string) =>
    runBinary(["snapshot", "--collector", "mock", "--format", format]);

  test("is a table for people", async () => {
    const { exitCode, stdout } = await snapshot("table");
    const [head, headings, ...rows] = stdout.trimEnd().split("\n");
    expect(head).toContain("driver ");
    expect(headings).toMatch(/^GPU +NAME +UTIL % +MEM % +USED GiB/);
    expect(rows.length).toBeGreaterThan(0);
    expect(exitCode).toBe(0);
  });

  test("is JSON with every reading of every device", async () => {
    const { stdout } = await snapshot("json");
    const { takenAt, devices } = JSON.parse(stdout);
    expect(Date.parse(takenAt)).toBeWithin(Date.now() - 60_000, Date.now() + 1);
    for (const { uuid, readings } of devices) {
      expect(uuid).toBeString();
      expect(readings.utilizationPercent).toBeWithin(0, 100.001);
    }
  });

  test("is CSV with a heading, and empty where nothing was read", async () => {
    const { stdout } = await snapshot("csv");
    const [heading = "", ...rows] = stdout.trimEnd().split("\n");
    expect(heading).toStartWith("takenAt,index,uuid,model,minor,pciBusId,vendor,health,");
    for (const row of rows) expect(row.split(",")).toHaveLength(heading.split(",").length);
  });

  test("a library that is not there is exit 1 and says where it was looked for", async () => {
    const args = [
      "snapshot",
      "--collector",
      "nvml",
      "--nvml-library",
      "/nowhere/libnvidia-ml.so.1",
    ];
    const { exitCode, stdout, stderr } = await runBinary(args);
    expect(stderr).toContain("/nowhere/libnvidia-ml.so.1");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  });
});
