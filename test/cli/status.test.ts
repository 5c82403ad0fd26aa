import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "#core/clock.ts";
import { runCommand } from "../support/cli.ts";
import {
  answeredTrigger,
  refusedTrigger,
  type StatusServer,
  statusNode,
  statusServer,
} from "../support/status-server.ts";

const answered = answeredTrigger("llm");
let server: StatusServer;
beforeAll(() => {
  server = statusServer();
  const { devices, ...node } = statusNode(0);
  const conditions = [{ kind: "thermal-slowdown", detail: "too hot" }] as const;
  const hot = devices.map((one) => (one.index === 1 ? { ...one, conditions } : one));
  server.nodes.push({ ...node, devices: hot });
  server.powers.set("llm", 1_234.5);
  server.triggers.push(answered, refusedTrigger("tts"));
});
afterAll(() => server.stop());
const asked = (command: string, ...args: string[]) =>
  runCommand([command, "--server", `127.0.0.1:${server.port}`, ...args]);

describe("explain", () => {
  test("without a name has a line for each trigger", async () => {
    const { exitCode, stdout } = await asked("explain");
    expect(exitCode).toBe(0);
    expect(stdout.split("\n")).toEqual([
      "WORKLOAD  METRIC           VALUE  TARGET  REPLICAS      STATE",
      "ml/llm    gpu_utilization  276    80      3 -> 4 (1-9)  active",
      "ml/tts    gpu_utilization  -      80      3 (1-9)       no answer (data-missing)",
      "",
    ]);
  });

  test("of one says why, what the HPA does, who contributes, and what changed", async () => {
    const [change] = answered.changes;
    if (change === undefined) throw new Error("it has changed");
    const { stdout } = await runCommand(["explain", "ml/llm", "--server", server.url], {
      clock: { ...systemClock(), wallMs: () => change.atMs + 120_000 },
    });
    const words = stdout.replaceAll(/\s+/g, " ");
    for (const part of [
      "ml/llm gpu-utilization",
      "because sum over 3 replicas of gpu_utilization: 276",
      "276 / 80 = 3.45 replicas, rounded up outside the tolerance: 4; spec.replicas is 3, and",
      "power 1235 W",
      "KEDA asked not this process since it started",
      "NODE GPU POD AGE VALUE WHY node-0 0 llm-0 0 s 92",
      "2 min ago the HPA is asked for 4 replicas",
    ])
      expect(words).toContain(part);
    expect(Math.max(...stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(96);
  });

  test("of one that is refused says so", async () => {
    const { stdout } = await asked("explain", "ml/tts");
    const words = stdout.replaceAll(/\s+/g, " ");
    expect(words).toContain("state no answer (data-missing)");
    expect(words).toContain("no value Cannot answer for ml/tts: nothing is known");
    expect(stdout).not.toContain("the HPA  ");
  });

  test("as JSON has everything", async () => {
    const [all] = JSON.parse((await asked("explain", "--output", "json")).stdout);
    expect(all).toMatchObject({ name: "llm", value: { result: 276 } });
    const [one] = JSON.parse((await asked("explain", "ml/llm", "--output", "json")).stdout);
    expect(one.valueExplanation.devices).toHaveLength(1);
  });

  test("of one that the scaler does not know suggests one that is near", async () => {
    const { exitCode, stderr } = await asked("explain", "ml/lm");
    expect(exitCode).toBe(2);
    expect(stderr).toContain("the scaler knows no trigger of ml/lm; did you mean ml/llm?");
    expect((await asked("explain", "else/where")).stderr).toContain("scalerAddress names this");
  });

  test("needs both names", async () => {
    const { exitCode, stderr } = await asked("explain", "llm");
    expect(exitCode).toBe(2);
    expect(stderr).toContain('with a / between, got "llm"');
  });

  test.each([
    ["127.0.0.1:1", "kubectl -n keda port-forward"],
    ["http://127.0.0.1:1", "kubectl -n keda port-forward"],
  ])("says how to reach a scaler when %s is none", async (address, remedy) => {
    const { exitCode, stderr } = await runCommand(["explain", "--server", address]);
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("keda-gpu-scaler: Cannot read the status of http://127.0.0.1:1");
    expect(stderr).toContain(remedy);
  });

  test("refuses what is no address", async () => {
    const { exitCode, stderr } = await runCommand(["explain", "--server", "a b"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--server must be host:port or an http URL");
  });
});

describe("top", () => {
  test("where there is no terminal writes rows with their time", async () => {
    const { exitCode, stdout } = await asked("top", "--count", "1");
    expect(exitCode).toBe(0);
    const rows = stdout.trimEnd().split("\n");
    expect(rows).toHaveLength(1 + 8 + 1 + 2);
    for (const row of rows) expect(row).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}\w/);
    expect(rows[1]).toMatch(/node-0 +0 +40 +40\/80 +450 +61 +0 s +ok +ml\/pod-0-0$/);
    expect(rows[2]).toMatch(/61 +0 s +ok, thermal-slowdown +ml\/pod-0-1$/);
    expect(rows.at(-2)).toContain("276");
  });

  test("looks again until it is stopped, and goes on through an outage", async () => {
    const other = statusServer();
    const { promise: stopSignal, resolve: stop } = Promise.withResolvers<string>();
    const errors: string[] = [];
    const ran = runCommand(["top", "--server", `127.0.0.1:${other.port}`, "--interval", "1s"], {
      stopSignal,
      stderr: (text) => {
        errors.push(text);
        stop("SIGINT");
      },
      stdout: () => void other.stop(),
    });
    expect((await ran).exitCode).toBe(0);
    expect(errors.join("")).toContain("Cannot read the status");
  });

  test("on a terminal fills the screen, fits it, and gives it back", async () => {
    const written: string[] = [];
    const { exitCode } = await runCommand(
      ["top", "--server", `127.0.0.1:${server.port}`, "--count", "1"],
      { terminal: () => ({ columns: 60, rows: 8 }), stdout: (text) => written.push(text) },
    );
    expect(exitCode).toBe(0);
    expect(written.at(0)).toContain("\u001b[?1049h");
    expect(written.at(-1)).toContain("\u001b[?1049l");
    const lines = Bun.stripANSI(written[1] ?? "").split("\n");
    expect(lines).toHaveLength(8);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
    expect(lines[0]).toStartWith("keda-gpu-scaler 1.2.3, scaler on here");
  });
});
