import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseTrigger } from "#trigger/trigger.ts";
import { runCommand } from "../support/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "validate-"));
afterAll(() => rmSync(folder, { recursive: true }));
function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const validate = (...args: string[]) => runCommand(["validate", ...args]);
const address = "scalerAddress: keda-gpu-scaler.keda:6000";

/** A ScaledObject of 7 lines, then those of its spec; `triggers` are flow mappings. */
const object = (spec: readonly string[], triggers: readonly string[], kind = "ScaledObject") =>
  `apiVersion: keda.sh/v1alpha1
kind: ${kind}
metadata:
  name: chat
  namespace: inference
spec:
  ${kind === "ScaledObject" ? "scaleTargetRef: { name: chat }" : "jobTargetRef: {}"}
${[...spec.map((line) => `  ${line}\n`), "  triggers:\n", ...triggers.map((one) => `    - ${one}\n`)].join("")}`;
const queue = `{ type: external, metadata: { ${address}, profile: vllm-queue-depth } }`;
const wake = `{ type: external-push, metadata: { ${address}, metricType: request_rate, targetValue: "9", engine: vllm-router, endpoint: http://router } }`;

/** Lines about one text, without the file's name. */
async function linesOf(text: string, ...args: string[]): Promise<readonly string[]> {
  const { stdout } = await validate(write("object.yaml", text), ...args);
  return stdout.replaceAll(`${folder}/object.yaml:`, "").trimEnd().split("\n").slice(0, -1);
}

describe("a right object", () => {
  test("has no findings, and says what was checked", async () => {
    expect(await validate(write("good.yaml", object(["minReplicaCount: 1"], [queue])))).toEqual({
      exitCode: 0,
      stdout: "1 trigger in 1 object checked: 0 errors, 0 warnings\n",
      stderr: "",
    });
  });

  test("of every example passes", async () => {
    const files = [...new Bun.Glob("deploy/examples/**/*.yaml").scanSync()];
    // The interceptor of KEDA's HTTP add-on is in another namespace, as its example says.
    const host = "keda-add-ons-http-interceptor-admin.keda:9090";
    const { exitCode, stdout } = await validate("--allow-endpoint", host, ...files);
    expect(stdout).toMatch(/^\d\d triggers in \d\d objects checked: 0 errors, 0 warnings; skipped/);
    expect(exitCode).toBe(0);
  });
});

describe("a trigger is refused in the server's words, with its line", () => {
  test.each([
    { metricType: "vram", aggregation: "mean" },
    { profile: "vllm", agregation: "max" },
    { metricType: "queue_depth", endpoint: "http://a", vllmEndpoint: "http://b" },
    { scope: "node", podSelector: "app=x" },
  ])("%j", async (metadata) => {
    const problems: string[] = [];
    try {
      parseTrigger(metadata);
    } catch (error) {
      problems.push(...(error as { facts: { problems: string[] } }).facts.problems);
    }
    const lines = Object.entries(metadata).map(([key, value]) => `        ${key}: ${value}`);
    const text = object(
      [],
      [`type: external\n      metadata:\n        ${address}\n${lines.join("\n")}`],
    );
    const found = await linesOf(text);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      const key = Object.keys(metadata).find((name) => problem.replace(/^"/, "").startsWith(name));
      const line = text.split("\n").findIndex((one) => one.includes(` ${key}:`)) + 1;
      const words = problem.replace(/^"([^"]*)"/, "$1");
      const expected = `error: spec.triggers.0.metadata.${words}`;
      if (key !== undefined) expect(found).toContain(`${line}: ${expected}`);
      else expect(found.join("\n")).toContain(expected);
    }
  });

  test("also in a List, in a second document and by standard input", async () => {
    const broken = object([], [`{ type: external, metadata: { ${address}, agregation: max } }`]);
    const indented = broken.replace(/^/gm, "    ").replace(/^ {4}/, "  - ");
    const list = `kind: List\nitems:\n${indented}`;
    const { stdout, exitCode } = await runCommand(["validate", "-"], {
      stdin: (async function* () {
        yield Buffer.from(`kind: Service\n---\n${broken}---\n`);
        yield Buffer.from(list);
      })(),
    });
    expect(stdout).toContain(
      "stdin:11: error: spec.triggers.0.metadata.agregation: unknown key; did you mean aggregation?\n",
    );
    expect(stdout).toContain("stdin:23: error: spec.triggers.0.metadata.agregation: ");
    expect(stdout).toEndWith(
      "2 triggers in 2 objects checked: 2 errors, 0 warnings; skipped: 1 document\n",
    );
    expect(exitCode).toBe(1);
  });
});

describe("an error is", () => {
  test.each<[string, string]>([
    [
      "apiVersion: keda.sh/v1\nkind: ScaledObject\n",
      "1: error: apiVersion: must be keda.sh/v1alpha1",
    ],
    [
      object(['minReplicaCount: "1"'], [queue]),
      '8: error: spec.minReplicaCount: must be a number, got "1"',
    ],
    [
      object(["minReplicaCount: 3", "maxReplicaCount: 2"], [queue]),
      "8: error: spec.minReplicaCount: must not be above maxReplicaCount, 2, got 3",
    ],
    [
      object(["idleReplicaCount: 1", "minReplicaCount: 1"], [queue]),
      "8: error: spec.idleReplicaCount: must be below",
    ],
    [
      object([], []).replace("triggers:", "triggers: []"),
      "8: error: spec.triggers: must have a trigger",
    ],
    [
      object([], [`{ type: external, metadata: {} }`]),
      "9: error: spec.triggers.0.metadata.scalerAddress: required",
    ],
    [
      object([], [`{ type: external, metadata: { ${address}, targetValue: 80 } }`]),
      "9: error: spec.triggers.0.metadata.targetValue: must be text; put the value in quotes, got 80",
    ],
    [
      object([], [queue.replace("{ ", "{ metricType: Utilization, ")]),
      "9: error: spec.triggers.0.metricType: must be AverageValue or Value for an external trigger",
    ],
    [
      object([], [queue.replace("{ ", "{ metricType: Value, ")], "ScaledJob"),
      "9: error: spec.triggers.0.metricType: must be AverageValue in a ScaledJob",
    ],
    [
      object([], [queue]).replace("{ name: chat }", "{ name: chat, kind: LeaderWorkerSet }"),
      "7: error: spec.scaleTargetRef.apiVersion: must be leaderworkerset.x-k8s.io/v1",
    ],
    [
      object([], [queue]).replace("{ name: chat }", "{ name: chat, kind: DaemonSet }"),
      "7: error: spec.scaleTargetRef.kind: must have a /scale subresource, got DaemonSet",
    ],
    [
      object([], [queue]).replace(/ *scaleTargetRef.*\n/, ""),
      "error: spec.scaleTargetRef: required",
    ],
    [
      object([], [queue.replace("{ ", "{ name: a, "), wake.replace("{ ", "{ name: a, ")]),
      "10: error: spec.triggers.1.name: must be given once, got a again",
    ],
    ["kind: ScaledObject\n  x: [\n", "1: error: must be YAML: "],
  ])("%j: %s", async (text, line) => {
    const { exitCode, stdout } = await validate(write("wrong.yaml", text));
    expect(stdout.replaceAll(`${folder}/wrong.yaml:`, "")).toContain(line);
    expect(exitCode).toBe(1);
  });

  test("what the server's settings refuse", async () => {
    const node = object(
      [],
      [`{ type: external, metricType: Value, metadata: { ${address}, scope: node } }`],
    );
    expect(await linesOf(node)).toEqual([]);
    expect((await linesOf(node, "--allow-scope", "workload"))[0]).toStartWith(
      "9: error: spec.triggers.0.metadata.scope: Cannot answer gpu_utilization in scope node: ",
    );
    const away = object([], [wake.replace("http://router", "http://gateway.infra.svc")]);
    expect((await linesOf(away, "--allow-endpoint", "b"))[0]).toMatch(
      /^9: error: .*\.endpoint: .*--allow-endpoint names$/,
    );
    expect((await linesOf(away))[0]).toMatch(/^9: warning: .* \[endpoint-not-allowed\]$/);
    expect(await linesOf(away, "--allow-endpoint", "gateway.infra.svc")).toEqual([]);
    const unnamed = away.replace("  namespace: inference\n", "");
    expect(await linesOf(unnamed)).toEqual([]);
    expect(await linesOf(unnamed, "--namespace", "infra")).toEqual([]);
    expect(await linesOf(unnamed, "--namespace", "chat")).toHaveLength(1);
  });

  test("a file that cannot be read; the others are checked", async () => {
    const { exitCode, stdout } = await validate("/nowhere", write("good.yaml", object([], [wake])));
    expect(stdout).toMatch(/^\/nowhere:1: error: the file: cannot be read: /);
    expect(stdout).toContain("1 trigger in 1 object checked: 1 error, 0 warnings");
    expect(exitCode).toBe(1);
  });
});

describe("a warning", () => {
  const zero = ["minReplicaCount: 0"];
  test.each<[code: string, text: string, line: number]>([
    ["no-wake-source", object(zero, [queue]), 10],
    ["unknown-field", object(["cooldwonPeriod: 3"], [wake]), 8],
    ["unknown-field", object([], [wake.replace("{ ", "{ metricTyp: Value, ")]), 9],
    ["cooldown-too-short", object([...zero, "cooldownPeriod: 60"], [queue, wake]), 9],
    ["slow-wake", object(["pollingInterval: 61"], [wake.replace("-push", "")]), 8],
    ["polling-without-effect", object(["minReplicaCount: 1", "pollingInterval: 5"], [queue]), 9],
    [
      "fallback-removes-replicas",
      object(["fallback: { failureThreshold: 3, replicas: 2 }"], [wake]),
      8,
    ],
    ["fallback-to-zero", object(["fallback: { failureThreshold: 3, replicas: 0 }"], [wake]), 8],
    [
      "fallback-above-most",
      object(["maxReplicaCount: 2", "fallback: { failureThreshold: 3, replicas: 3 }"], [wake]),
      9,
    ],
    ["idle-above-zero", object(["idleReplicaCount: 1", "minReplicaCount: 2"], [wake]), 8],
    [
      "never-idle",
      object(zero, [`{ type: external, metadata: { ${address}, profile: training } }`]),
      8,
    ],
    ["push-without-effect", object([], [wake], "ScaledJob"), 9],
    [
      "poll-without-stream",
      object(
        [],
        [wake.replace("-push", "").replace("engine:", 'pollIntervalSeconds: "5", engine:')],
      ),
      9,
    ],
    [
      "activity-by-formula",
      object(
        ["advanced: { scalingModifiers: { formula: a + 1 } }"],
        [wake.replace("{ ", "{ name: a, ")],
      ),
      8,
    ],
    ["total-under-value", object([], [wake.replace("{ ", "{ metricType: Value, ")]), 9],
    [
      "quantity-under-value",
      object(
        ["minReplicaCount: 1"],
        [
          `{ type: external, metricType: Value, metadata: { ${address}, metricType: queue_depth, targetValue: "5" } }`,
        ],
      ),
      10,
    ],
    [
      "metric-type-unsuited",
      object(["minReplicaCount: 1"], [queue.replace("{ ", "{ metricType: Value, ")]),
      10,
    ],
  ])("%s", async (code, text, line) => {
    const { exitCode, stdout } = await validate(write("warned.yaml", text));
    const [first = "", ...more] = stdout.trimEnd().split("\n");
    expect(first).toStartWith(`${folder}/warned.yaml:${line}: warning: spec.`);
    expect(first).toEndWith(`[${code}]`);
    expect(more).toEqual([expect.stringContaining(": 0 errors, 1 warning")]);
    expect(exitCode).toBe(0);
  });

  test.each<[what: string, text: string]>([
    [
      "a fallback that keeps more",
      object(
        ["fallback: { failureThreshold: 3, replicas: 2, behavior: currentReplicasIfHigher }"],
        [wake],
      ),
    ],
    ["a slow poll of a push trigger", object(["pollingInterval: 600"], [wake])],
    [
      "zero replicas that another scaler wakes",
      object(zero, [queue, '{ type: cron, metadata: { desiredReplicas: "1" } }']),
    ],
    [
      "a short cooldown without the way to zero",
      object(["minReplicaCount: 1", "cooldownPeriod: 5"], [queue]),
    ],
    [
      "polling of cached metrics",
      object(
        ["minReplicaCount: 1", "pollingInterval: 5"],
        [queue.replace("{ ", "{ useCachedMetrics: true, ")],
      ),
    ],
    [
      "a value from the environment",
      object(
        ["minReplicaCount: 1"],
        [
          `{ type: external, metadata: { ${address}, metricType: queue_depth, targetValueFromEnv: TARGET } }`,
        ],
      ),
    ],
  ])("is not given for %s", async (_what, text) => {
    expect(await linesOf(text)).toEqual([]);
  });
});

test("a misspelt key from the environment is refused all the same", async () => {
  const text = object(
    [],
    [`{ type: external, metadata: { ${address}, targetValuFromEnv: T, aggregation: x } }`],
  );
  const lines = await linesOf(text);
  expect(lines).toHaveLength(2);
  expect(lines.join("\n")).toContain("targetValuFromEnv: unknown key");
  expect(lines.join("\n")).toContain("aggregation: must be one of max");
});

describe("whose trigger it is", () => {
  const other = object(
    ["minReplicaCount: 1"],
    ["{ type: external, metadata: { scalerAddress: gpu.x:1, a: b } }"],
  );
  test.each([
    [[], 0, "0 triggers in 1 object checked: 0 errors, 0 warnings; skipped: 1 trigger of other"],
    [["--service", "gpu"], 1, "unknown key"],
    [["--all"], 1, "unknown key"],
  ])("with %j", async (flags, exitCode, text) => {
    const result = await validate(write("other.yaml", other), ...flags);
    expect(result.stdout).toContain(text);
    expect(result.exitCode).toBe(exitCode);
  });
});

test("profiles of a file are known", async () => {
  const own = write("profiles.yaml", "profiles:\n  chat: { metric: queue_depth, target: 4 }\n");
  const text = object(
    ["minReplicaCount: 1"],
    [`{ type: external, metadata: { ${address}, profile: chat } }`],
  );
  expect(await linesOf(text)).toHaveLength(1);
  expect(await linesOf(text, "--profiles", own)).toEqual([]);
});

test("JSON has every finding with its place", async () => {
  const file = write("json.yaml", `kind: Service\n---\n${object(["minReplicaCount: 0"], [queue])}`);
  const { stdout } = await validate(file, "--output", "json");
  expect(JSON.parse(stdout)).toEqual({
    objects: 1,
    triggers: 1,
    errors: 0,
    warnings: 1,
    skipped: { documents: 1, triggers: 0 },
    findings: [
      {
        file,
        line: 12,
        column: 7,
        object: "ScaledObject/chat",
        severity: "warning",
        code: "no-wake-source",
        message: expect.stringContaining("minReplicaCount is 0"),
      },
    ],
  });
});

test.each([
  [[], "FILE must be a YAML file, or - for standard input, got nothing"],
  [["a.yaml", "--allow-scope", "pod"], "--allow-scope must be one or several of"],
  [["a.yaml", "--strict"], "unknown flag --strict; allowed: --profiles"],
])("%j is wrong usage", async (args, text) => {
  const { stderr, ...result } = await validate(...args);
  expect(stderr).toContain(text);
  expect(result).toEqual({ exitCode: 2, stdout: "" });
});
