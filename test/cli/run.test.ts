import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readingNames } from "#metric/reading.ts";
import { runCommand, startCommand } from "../support/cli.ts";
import { until } from "../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "cli-"));
afterAll(() => rmSync(folder, { recursive: true }));
const mockFile = join(folder, "mock.yaml");
writeFileSync(
  mockFile,
  `driverVersion: "570.1"
devices:
  - uuid: GPU-a
    model: 'H100, 80 "GB"'
    minor: 7
    pciBusId: "0000:3b:00.0"
    readings:
      utilizationPercent: 91.6
      memoryUsedBytes: 42949672960
      memoryTotalBytes: 85899345920
      temperatureCelsius: 61
      powerAverageMilliwatts: 250040
      powerInstantMilliwatts: 1
      powerLimitMilliwatts: 700000
      smClockMegahertz: 1980
  - uuid: GPU-b
    readings: { powerInstantMilliwatts: 99960 }
    faults: { lost: true }
  - uuid: GPU-c
    readings: { memoryUsedBytes: 3221225472, powerInstantMilliwatts: 99960 }
`,
);

const finished = (...args: string[]) => runCommand(args);

describe("help", () => {
  test.each(["--help", "-h", "help"])("%s lists the commands", async (word) => {
    expect(await finished(word)).toEqual({
      exitCode: 0,
      stderr: "",
      stdout: `keda-gpu-scaler: a KEDA External Scaler that reads accelerators through the vendor's library

usage: keda-gpu-scaler COMMAND [FLAGS]

  serve       Read the devices and answer KEDA until stopped
  explain     Say why a workload has its value, and what the HPA does with it
  advise      Say which signal and target fit a workload, by its last hours
  top         Show devices and workloads, live: a full screen, or rows where there is no terminal
  snapshot    Print the devices' readings
  simulate    Play a ScaledObject over a load, and report waits, GPU-hours and scale events
  generate    Print a complete ScaledObject for a profile, with the reasons as comments
  validate    Check the triggers in YAML as the server would, and warn of what cannot work
  profiles    Say what each profile scales on, when to use it and when not
  completion  Print a script by which your shell completes commands and flags
  version     Print the version

keda-gpu-scaler COMMAND --help lists the flags of a command.
Try it without a GPU: keda-gpu-scaler serve --collector mock
`,
    });
  });

  test.each(["--help", "-h"])(
    "snapshot %s lists its flags, whatever else is wrong",
    async (word) => {
      expect(await finished("snapshot", "--nonsense", word)).toEqual({
        exitCode: 0,
        stderr: "",
        stdout: `keda-gpu-scaler snapshot: Print the devices' readings

usage: keda-gpu-scaler snapshot [FLAGS]

  --format table|json|csv                     How the readings are written (default table)
  --interval DURATION                         Repeat at this interval until stopped; without it, once
  --env auto|k8s|slurm|flux|standalone        Whose devices: those of the pod, Slurm job or Flux job, or with standalone all of the machine (default auto)
  --device INDEX|UUID                         Only these of them, by index or the beginning of a UUID; several times or with commas
  --collector auto|nvml|amdgpu|exporter|mock  Where readings come from; auto takes all vendors that are there, never the mock (default auto)
  --nvml-library PATH                         libnvidia-ml.so.1, when it is not where drivers put it
  --sysfs-root PATH                           Where AMD GPUs are read from, when sysfs is not mounted at /sys
  --exporter NAME|FILE                        The exporter on this node whose page has the devices: gaudi, neuron, tpu, xpum, amd, dcgm, or a YAML file with its table
  --exporter-url URL                          Where the page of --exporter is; else on its usual port, at the first address of $NODE_IP or on 127.0.0.1
  --mock PATH                                 YAML file that the mock collector plays; without it, its own default

example: keda-gpu-scaler snapshot --format json
         srun keda-gpu-scaler snapshot --env slurm --interval 10s --format csv
`,
      });
    },
  );

  test("serve --help names every value that a flag takes", async () => {
    const { stdout } = await finished("serve", "--help");
    const values = [...stdout.matchAll(/^ {2}--\S+ (\S+)/gm)].map(([, value = ""]) => value);
    expect(new Set(values)).toEqual(
      new Set([
        ...[
          "all|agent|scaler",
          "ADDRESS",
          "PORT",
          "auto|nvml|amdgpu|exporter|mock",
          "PATH",
          "NAME|FILE",
          "URL",
          "DURATION",
          "NAME",
        ],
        ...[
          "ADDRESSES",
          "HOSTS",
          "SCOPES",
          "NAMES",
          "NUMBER",
          "debug|info|warn|error",
          "json|text",
        ],
      ]),
    );
  });

  test("a command without flags has none to list", async () => {
    expect((await finished("version", "--help")).stdout).toBe(
      "keda-gpu-scaler version: Print the version\n\nusage: keda-gpu-scaler version\n\nexample: keda-gpu-scaler version\n",
    );
  });
});

test.each(["version", "--version"])("%s prints the version", async (word) => {
  expect(await finished(word)).toEqual({
    exitCode: 0,
    stderr: "",
    stdout: `keda-gpu-scaler 1.2.3 (abc, bun ${process.versions.bun})\n`,
  });
});

describe("one line on stderr, and an exit code that tells", () => {
  test.each<[number, string[], string]>([
    [
      2,
      [],
      "Cannot run: no command is given; allowed: serve explain advise top snapshot simulate generate validate profiles completion version; see keda-gpu-scaler --help",
    ],
    [
      2,
      ["serv"],
      "Cannot run: unknown command serv; did you mean serve? allowed: serve explain advise top snapshot simulate generate validate profiles completion version; see keda-gpu-scaler --help",
    ],
    [2, ["serve", "--host", "::1"], "unknown flag --host; did you mean --bind? allowed: --role"],
    [2, ["simulate", "--host", "x"], "unknown flag --host; allowed: --scaledobject"],
    [2, ["simulate", "--price", "2"], "unknown flag --price; did you mean --gpu-hour-price?"],
    [2, ["version", "--long"], "Cannot run version: unknown flag --long; none is allowed"],
    [2, ["snapshot", "--interval", "1"], '"1"'],
    [
      2,
      ["serve", "--mock", "m"],
      "Cannot choose a collector: --mock is for --collector mock, got --collector auto",
    ],
    [
      2,
      ["serve", "--role", "scaler"],
      "Cannot run --role scaler: it needs the Kubernetes API (as a pod, or with --kubeconfig) or --agents",
    ],
    [1, ["serve", "--profiles", "/nowhere"], "Cannot use profiles file /nowhere: "],
    [1, ["snapshot", "--collector", "mock", "--mock", "/nowhere"], "/nowhere"],
  ])("%d for %j", async (code, args, text) => {
    const result = await finished(...args);
    expect(result.stderr).toStartWith("keda-gpu-scaler: ");
    expect(result.stderr).toContain(text);
    expect(result.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ code: result.exitCode, stdout: result.stdout }).toEqual({ code, stdout: "" });
  });
});

describe("snapshot", () => {
  const snapshot = (...args: string[]) =>
    finished("snapshot", "--collector", "mock", "--mock", mockFile, ...args);
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

  test("is a table with units, and - for what was not read", async () => {
    const { exitCode, stdout, stderr } = await snapshot();
    const [head = "", ...rows] = stdout.split("\n");
    const takenAtMs = Date.parse(time.exec(head)?.[0] ?? "");
    expect(Date.now() - takenAtMs).toBeWithin(0, 5_000);
    expect(head.replace(time, "T")).toBe("T  driver 570.1  library unknown");
    expect(rows).toEqual([
      "GPU  NAME           UTIL %  MEM %  USED GiB  TOTAL GiB  TEMP °C  POWER W  LIMIT W  SM MHz  HEALTH  UUID",
      '0    H100, 80 "GB"  92      50.0   40.0      80.0       61       250.0    700.0    1980    ok      GPU-a',
      "1    Mock GPU       -       -      -         -          -        -        -        -       lost    GPU-b",
      "2    Mock GPU       -       -      3.0       -          -        100.0    -        -       ok      GPU-c",
      "",
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test("is one JSON object, without what was not read", async () => {
    const { stdout } = await snapshot("--format", "json");
    expect(stdout).toEndWith("}\n");
    const { takenAt, driverVersion, devices } = JSON.parse(stdout);
    expect(takenAt).toMatch(time);
    expect(driverVersion).toBe("570.1");
    expect(devices[2].readings).toEqual({
      memoryUsedBytes: 3_221_225_472,
      powerInstantMilliwatts: 99_960,
    });
  });

  test("is CSV by RFC 4180, empty where nothing was read", async () => {
    const { stdout } = await snapshot("--format", "csv");
    const lines = stdout.split("\n");
    const [heading, first = "", second = ""] = lines;
    expect(heading).toBe(
      `takenAt,index,uuid,model,minor,pciBusId,vendor,health,${readingNames.join(",")},conditions`,
    );
    expect(first.replace(time, "T")).toStartWith(
      'T,0,GPU-a,"H100, 80 ""GB""",7,0000:3b:00.0,mock,ok,91.6,,42949672960,85899345920,61,,1,250040,700000,',
    );
    expect(second.replace(time, "T")).toBe(
      `T,1,GPU-b,Mock GPU,1,0000:01:00.0,mock,lost${",".repeat(readingNames.length + 1)}`,
    );
    expect(lines).toHaveLength(5);
    expect(lines.at(-1)).toBe("");
  });

  test("is printed at every interval until it is stopped", async () => {
    const { exitCode, output, stop } = startCommand([
      "snapshot",
      "--collector",
      "mock",
      "--mock",
      mockFile,
      "--format",
      "json",
      "--interval",
      "100ms",
    ]);
    await until(() => output.length >= 3);
    stop();
    expect(await exitCode).toBe(0);
    for (const line of output) expect(JSON.parse(line).devices).toHaveLength(3);
  });
});

test("serve logs as it is told, and serves until it is stopped", async () => {
  const { exitCode, errors, output, stop } = startCommand([
    "serve",
    "--collector",
    "mock",
    "--mock",
    mockFile,
    "--bind",
    "127.0.0.1",
    "--port",
    "0",
    "--http-port",
    "0",
    "--log-format",
    "text",
  ]);
  await until(() => errors.some((line) => line.includes("INFO  sampling")));
  stop();
  expect(await exitCode).toBe(0);
  expect(output).toEqual([]);
  const events = errors.map((line) => line.replace(/^\S+Z /, ""));
  expect(events[0]).toBe(
    'INFO  starting version="1.2.3" revision="abc" role="all" collector="mock"\n',
  );
  expect(events.at(-2)).toBe('INFO  stopping cause="SIGTERM"\n');
  expect(events.at(-1)).toBe("INFO  stopped\n");
});

test("serve leaves out lines below the level", async () => {
  const { exitCode, errors, stop } = startCommand([
    "serve",
    "--collector",
    "mock",
    "--bind",
    "127.0.0.1",
    "--port",
    "0",
    "--http-port",
    "0",
    "--log-level",
    "error",
  ]);
  stop();
  expect(await exitCode).toBe(0);
  expect(errors).toEqual([]);
});
