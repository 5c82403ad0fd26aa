import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../support/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "simulate-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const profiles = "deploy/examples/profiles";
const llm = `${profiles}/llm-concurrency.yaml`;
const kvCache = `${profiles}/vllm-kv-cache.yaml`;
const trace = "test/fixtures/traces/azure-llm-2023-code-1-in-40.csv";
const short = ["--load", "1 rps for 5m, 6 rps for 5m"];

const simulated = (args: readonly string[], hasColor = false) =>
  runCommand(["simulate", ...args], { hasColor });

/** A ScaledObject by the lines of its spec. */
const scaledObject = (spec: string) => `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: chat
spec:
  scaleTargetRef:
    name: chat
${spec}`;
const concurrency = `  triggers:
    - type: external
      metadata:
        scalerAddress: s:1
        profile: llm-concurrency
`;

describe("the text report", () => {
  test("has the numbers, a verdict and both plots in 80 columns", async () => {
    const { exitCode, stdout, stderr } = await simulated([
      "--scaledobject",
      llm,
      ...short,
      "--gpu-hour-price",
      "2",
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const row of ["Wait p95", "First token p99", "GPU-hours", "Cost", "Time at zero"])
      expect(stdout).toContain(row);
    expect(stdout).toMatch(/Verdict {2}.*keeps the goal/);
    expect(stdout).toContain("Replicas, A");
    expect(stdout).toContain("Requests waiting, A");
    expect(stdout).not.toContain("\u001b");
  });
  test("differs with colours in nothing but escape sequences", async () => {
    const args = ["--scaledobject", llm, ...short];
    const { stdout: plain } = await simulated(args);
    const { stdout: coloured } = await simulated(args, true);
    expect(coloured).toContain("\u001b[36m");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
    expect(coloured.replaceAll(/\u001b\[\d+m/g, "")).toBe(plain);
  });
  test("is the same for the same seed, and another for another", async () => {
    const args = ["--scaledobject", llm, ...short, "--output", "json"];
    const first = await simulated(args);
    expect(await simulated(args)).toEqual(first);
    const other = JSON.parse((await simulated([...args, "--seed", "2"])).stdout);
    expect(other.runs[0].requests).not.toBe(JSON.parse(first.stdout).runs[0].requests);
  });
  test("stays in 80 columns with four to compare", async () => {
    const more = [1, 2, 3, 4].flatMap(() => ["--compare", kvCache]);
    const { stdout } = await simulated(["--scaledobject", llm, ...more, ...short]);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(stdout).toContain("Replicas, E");
  });
});

describe("a trace", () => {
  test("is played as it came", async () => {
    const { stdout } = await simulated([
      "--scaledobject",
      llm,
      "--trace",
      trace,
      "--output",
      "json",
    ]);
    const { runs, seconds, load } = JSON.parse(stdout);
    expect(load).toContain("221 requests");
    expect(runs[0].requests).toBe(221);
    expect(seconds).toBeGreaterThan(3_300);
    expect(seconds).toBeLessThan(3_600);
  });
  test("excludes a load", async () => {
    const { exitCode, stderr } = await simulated([
      "--scaledobject",
      llm,
      "--trace",
      trace,
      ...short,
    ]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--trace and --load exclude each other");
  });
  test.each([
    ["a,b\n1,2\n", "line 1: must name the columns TIMESTAMP, ContextTokens, GeneratedTokens"],
    ["TIMESTAMP,ContextTokens,GeneratedTokens\n", "line 2: must be a request, got nothing"],
    [
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n5,1,1\r\n4,1,1\r\n",
      "line 3: TIMESTAMP must not be before that of the line above, got 4",
    ],
    [
      "TIMESTAMP,ContextTokens,GeneratedTokens\nsoon,1,-1\n",
      'line 2: TIMESTAMP must be a date such as 2023-11-16 18:15:46.68, or seconds, got "soon"; line 2: GeneratedTokens must be a whole number from 0 to 10000000, got "-1"',
    ],
  ])("is refused with line and rule: %j", async (csv, problem) => {
    const path = write("bad.csv", csv);
    const { exitCode, stderr, stdout } = await simulated(["--scaledobject", llm, "--trace", path]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(`Cannot use trace file ${path}: ${problem}`);
  });
  test("may count in seconds, and have other columns", async () => {
    const path = write(
      "seconds.csv",
      "id,GeneratedTokens,TIMESTAMP,ContextTokens\na,10,100.5,7\nb,10,101,7\n",
    );
    const { stdout } = await simulated([
      "--scaledobject",
      llm,
      "--trace",
      path,
      "--output",
      "json",
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ seconds: 2, runs: [{ requests: 2, unserved: 0 }] });
  });
});

describe("a load", () => {
  test("is ramps and steps", async () => {
    const load = "0 rps for 1m, ramp 0..10 rps over 2m, 4.5 rps for 1m";
    const { stdout } = await simulated(["--scaledobject", llm, "--load", load, "--output", "json"]);
    const { seconds, runs } = JSON.parse(stdout);
    expect(seconds).toBe(240);
    expect(Math.abs(runs[0].requests - 870)).toBeLessThan(150);
    const early = runs[0].timeline.filter(({ atMs }: { atMs: number }) => atMs <= 60_000);
    expect(early.every(({ running }: { running: number }) => running === 0)).toBe(true);
  });
  test.each([
    ["2 rps", 'segment 1 must be "RATE rps for DURATION"'],
    ["2 rps for 1m, 3 rps over 1m", "segment 2 must be"],
    ["20000 rps for 1m", "segment 1 must have at most 10000 rps"],
    ["1 rps for 200h", "all segments must last from 1s to 168h together"],
    ["1 rps for 0s", "all segments must last from 1s to 168h together"],
    ["100 rps for 100h", "all segments must have at most 5000000 requests together"],
  ])("is refused as wrong usage: %s", async (load, problem) => {
    const { exitCode, stderr } = await simulated(["--scaledobject", llm, "--load", load]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(problem);
  });
  test("takes as many tokens as it is told", async () => {
    const args = ["--scaledobject", llm, "--load", "1 rps for 2m", "--output", "json"];
    const tokens = ["--prompt-tokens", "27000", "--output-tokens", "1/5"];
    const [run] = JSON.parse((await simulated([...args, ...tokens])).stdout).runs;
    // The preset reads 27,000 tokens a second, so nobody has a first token sooner.
    expect(run.firstTokenMs.p50).toBeGreaterThanOrEqual(1000);
  });
});

describe("a ScaledObject", () => {
  test.each([
    ["  minReplicaCount: -1\n", "line 8, column 20: spec.minReplicaCount: must be a whole number"],
    [
      "  minReplicaCont: 1\n",
      "line 8, column 3: spec.minReplicaCont: unknown key; did you mean minRep",
    ],
    [
      "  maxReplicaCount: 1\n  minReplicaCount: 2\n",
      "line 9, column 20: spec.minReplicaCount: must not be above maxReplicaCount, 1, got 2",
    ],
    [
      "  minReplicaCount: 1\n  idleReplicaCount: 1\n",
      "line 9, column 21: spec.idleReplicaCount: must be below minReplicaCount, 1, got 1",
    ],
    [
      "  triggers:\n  - type: cron\n    metadata: {}\n",
      'line 9, column 11: spec.triggers.0.type: must be external or external-push, because the simulator plays this scaler alone, got "cron"',
    ],
    [
      '  triggers:\n  - type: external\n    metadata:\n      scalerAddress: s\n      targetValu: "1"\n',
      "line 12, column 7: spec.triggers.0.metadata.targetValu: unknown key; did you mean targetValue?",
    ],
    [
      "  triggers:\n    - metadata:\n        targetValue: 80\n      type: external\n",
      "line 10, column 22: spec.triggers.0.metadata.targetValue: must be text; put the value in quotes, got 80",
    ],
    [
      "  triggers:\n    - type: external\n      metadata:\n        targetValueFromEnv: X\n",
      "line 11, column 9: spec.triggers.0.metadata.targetValueFromEnv: must be targetValue with its value",
    ],
    [
      "  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleUp:\n          policies:\n            - { type: Pods, value: 0, periodSeconds: 60 }\n",
      "line 13, column 36: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies.0.value",
    ],
    ["  triggers: []\n", "line 8, column 13: spec.triggers: must have a trigger, got none"],
    ["  triggers: [\n", "line 9, column 1: must be YAML: Flow sequence"],
  ])("is refused with line and rule: %j", async (spec, problem) => {
    const whole = spec.includes("triggers") ? spec : `${spec}${concurrency}`;
    const path = write("bad.yaml", scaledObject(whole));
    const { exitCode, stderr, stdout } = await simulated(["--scaledobject", path]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(`Cannot use ScaledObject file ${path}: `);
    expect(stderr).toContain(problem);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
  test("may stand behind other documents, whose lines count", async () => {
    const deployment = "kind: Deployment\nspec: {}\n---\n";
    const good = write("two.yaml", `${deployment}${scaledObject(concurrency)}`);
    expect((await simulated(["--scaledobject", good, ...short])).exitCode).toBe(0);
    const bad = write("bad.yaml", `${deployment}${scaledObject(`  x: 1\n${concurrency}`)}`);
    expect((await simulated(["--scaledobject", bad])).stderr).toContain(
      "line 11, column 3: spec.x: unknown",
    );
  });
  test.each([
    ["kind: Deployment\n", "got Deployment"],
    ["", "got none with a kind"],
    [`kind: "a\\r${"x".repeat(100)}"\n`, `got a ${"x".repeat(58)}…`],
    [`${scaledObject(concurrency)}---\n${scaledObject(concurrency)}`, "got ScaledObject, Scaled"],
  ])("must be one: %#", async (text, got) => {
    const path = write("bad.yaml", text);
    const { stderr } = await simulated(["--scaledobject", path]);
    expect(stderr).toContain(`the file: must have one document of kind ScaledObject, ${got}`);
  });
  test("must be readable, and must be named", async () => {
    const missing = join(folder, "missing.yaml");
    const unreadable = await simulated(["--scaledobject", missing]);
    expect(unreadable.exitCode).toBe(1);
    expect(unreadable.stderr).toContain(`${missing}: the file: cannot be read: ENOENT`);
    const unnamed = await simulated([]);
    expect(unnamed.exitCode).toBe(2);
    expect(unnamed.stderr).toContain("--scaledobject must be the path of a file, got nothing");
  });
  test("may name a profile of a file", async () => {
    const own = write(
      "profiles.yaml",
      "profiles:\n  chat:\n    metric: running_requests\n    target: 4\n",
    );
    const named = scaledObject(concurrency.replace("llm-concurrency", "chat"));
    const path = write("named.yaml", named);
    const args = ["--scaledobject", path, "--profiles", own, ...short, "--output", "json"];
    const { exitCode, stdout, stderr } = await simulated(args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const same = concurrency.replace(
      "profile: llm-concurrency",
      'metricType: running_requests\n        targetValue: "4"',
    );
    const spelt = await simulated([
      ...["--scaledobject", write("named.yaml", scaledObject(same))],
      ...[...short, "--output", "json"],
    ]);
    expect(JSON.parse(stdout).runs[0].events.length).toBeGreaterThan(0);
    expect(JSON.parse(stdout).runs).toEqual(JSON.parse(spelt.stdout).runs);
    write("named.yaml", named);
    const unknown = await simulated(["--scaledobject", path, ...short]);
    expect(unknown.stderr).toContain(
      "line 12, column 9: spec.triggers.0.metadata.profile: must be one of",
    );
  });
  test("is refused with what is wrong in that file", async () => {
    const own = write("profiles.yaml", "profiles:\n  chat:\n    metric: running\n    target: 4\n");
    const { exitCode, stderr } = await simulated(["--scaledobject", llm, "--profiles", own]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `Cannot use profiles file ${own}: line 3, column 13: profiles.chat.metric: must be one of`,
    );
  });
  test("keeps to its behaviour, cooldown and limits", async () => {
    const slow = write(
      "slow.yaml",
      scaledObject(`  minReplicaCount: 2
  maxReplicaCount: 3
  idleReplicaCount: 0
  pollingInterval: 10
  cooldownPeriod: 30
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          policies:
            - type: Pods
              value: 1
              periodSeconds: 600
${concurrency}`),
    );
    const load = ["--load", "60 rps for 6m, 0 rps for 10m", "--output-tokens", "400"];
    const { stdout } = await simulated(["--scaledobject", slow, ...load, "--output", "json"]);
    const [{ events, replicasMax, zeroSeconds }] = JSON.parse(stdout).runs;
    expect(events[0]).toMatchObject({ from: 2, to: 3, by: "HPA" });
    expect(replicasMax).toBe(3);
    expect(events.at(-1)).toMatchObject({ to: 0, by: "KEDA" });
    expect(zeroSeconds).toBeGreaterThan(0);
  });
  test("that nothing wakes says so", async () => {
    const asleep = write("asleep.yaml", scaledObject(`  cooldownPeriod: 30\n${concurrency}`));
    const load = ["--load", "0 rps for 5m, 1 rps for 5m"];
    const { stdout } = await simulated(["--scaledobject", asleep, ...load]);
    expect(stdout).toContain("misses the goal");
    expect(stdout).toMatch(/nothing\s+woke\s+it/);
    expect(stdout).toMatch(/warning: .*/);
  });
});

describe("a replica model", () => {
  test("that is no file and only a word is a misspelt preset", async () => {
    const { exitCode, stderr } = await simulated([
      "--scaledobject",
      llm,
      "--replica-model",
      "h100-8",
    ]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--replica-model must be a file or one of l4-8b, a100-8b, h100-8b");
    expect(stderr).toContain('got "h100-8"; did you mean h100-8b?');
  });
  const own = `loadSeconds: 30
batchSlots: 4
prefillTokensPerSecond: 1000
decodeTokensPerSecond: 10
kvBlocks: 1000
`;
  test("may be a file", async () => {
    const path = write("replica.yaml", `${own}gpus: 4\n`);
    const args = ["--scaledobject", llm, "--replica-model", path, ...short, "--output", "json"];
    const { replica, runs } = JSON.parse((await simulated(args)).stdout);
    expect(replica).toBe(`${path}: 4 slots, 4 GPUs, loads in 30 s`);
    expect(runs[0].gpuHours).toBeCloseTo((runs[0].replicasMean * 4 * 600) / 3600, 0);
  });
  test("may be a preset, in a file with other values beside it or by its name", async () => {
    const path = write("replica.yaml", "preset: l4-8b\n");
    const args = ["--scaledobject", llm, ...short, "--output", "json", "--replica-model"];
    const [byFile, byName] = [
      await simulated([...args, path]),
      await simulated([...args, "l4-8b"]),
    ];
    const runsOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout).runs;
    expect(runsOf(byFile)).toEqual(runsOf(byName));
    const faster = write("replica.yaml", "preset: l4-8b\ndecodeTokensPerSecond: 1000\n");
    expect(runsOf(await simulated([...args, faster]))).not.toEqual(runsOf(byName));
  });
  test.each([
    ["loadSeconds: 1\n", "the file: must name a preset, or also say batchSlots, prefillTokens"],
    [`${own}gpus: 9\n`, "line 6, column 7: gpus: must be a whole number from 1 to 8, got 9"],
    [
      "preset: h100\n",
      "line 1, column 9: preset: must be one of l4-8b, a100-8b, h100-8b, h200-70b",
    ],
    [
      `# Ours\n\n${own}colour: 9\n`,
      "line 8, column 1: colour: unknown key; allowed: preset, loadSeconds",
    ],
    [
      "preset: l4-8b\nmemoryMib: 30000\n",
      "line 2, column 12: memoryMib: must not be above gpuMemoryMib, 23034",
    ],
    [
      "preset: l4-8b\nloadSeconds: .inf\n",
      "line 2, column 14: loadSeconds: must be a number from 0 to 2147483647, got Infinity",
    ],
    [
      "preset: l4-8b\ndecodeTokensPerSecond: 1e400\n",
      "line 2, column 24: decodeTokensPerSecond: must be a number up to 2147483647, got Infinity",
    ],
    ["- a\n", "must be a mapping of keys"],
    ["", "line 1, column 1: the file: must be a mapping of keys, got null"],
  ])("is refused with line and rule: %j", async (yaml, problem) => {
    const path = write("bad.yaml", yaml);
    const { exitCode, stderr } = await simulated(["--scaledobject", llm, "--replica-model", path]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`Cannot use replica model file ${path}: `);
    expect(stderr).toContain(problem);
  });
});

describe("comparing", () => {
  const both = [
    "--scaledobject",
    llm,
    "--compare",
    kvCache,
    "--load",
    "5 rps for 10m, ramp 5..30 rps over 40m",
  ];
  test("plays the same requests, and says which keeps the goal", async () => {
    const { stdout } = await simulated([...both, "--output", "json"]);
    const { runs, verdict } = JSON.parse(stdout);
    expect(runs.map(({ file }: { file: string }) => file)).toEqual([llm, kvCache]);
    expect(runs[0].requests).toBe(runs[1].requests);
    expect(verdict[0]).toContain(`B (${kvCache}) keeps the goal`);
    expect(verdict[1]).toMatch(/^A has .* GPU-hours; B has .* GPU-hours\.$/);
  });
  test("says when none does", async () => {
    const { stdout } = await simulated([...both, "--within", "1ms", "--output", "json"]);
    expect(JSON.parse(stdout).verdict[0]).toContain("None keeps the goal");
  });
  test("of more than the terminal shows is refused", async () => {
    const more = [1, 2, 3, 4, 5].flatMap(() => ["--compare", kvCache]);
    const { exitCode, stderr } = await simulated(["--scaledobject", llm, ...more]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--compare must be given at most 4 times, got 5");
  });
});

describe("the page", () => {
  const name = `a<b>&"c'`;
  const page = async () => {
    const path = write(`${name}.yaml`, scaledObject(concurrency));
    const args = ["--scaledobject", path, "--compare", kvCache, ...short, "--output", "html"];
    return (await simulated(args)).stdout;
  };
  test("closes what it opens, and has a path for each run in both plots", async () => {
    const html = await page();
    const open: string[] = [];
    const elements: string[] = [];
    const bare = html.replace(/<style>[\s\S]*<\/style>/, "");
    for (const [, slash, element = "", attributes = "", self] of bare.matchAll(
      /<(\/?)([a-z0-9]+)((?:\s+[a-zA-Z0-9:-]+(?:="[^"<>]*")?)*)\s*(\/?)>/g,
    )) {
      if (slash === "/") expect(open.pop()).toBe(element);
      else if (self !== "/" && !["meta", "br"].includes(element)) open.push(element);
      if (slash !== "/") elements.push(`${element}${attributes}`);
    }
    expect(open).toEqual([]);
    const plots = elements.filter(
      (element) => element.startsWith("svg") && !/class="key"/.test(element),
    );
    expect(plots).toHaveLength(2);
    // Two runs: a line each in both plots, and in the key of either and of the files.
    expect(elements.filter((element) => element.startsWith("path"))).toHaveLength(4 + 6);
  });
  test("has whole numbers on its axes, and keeps numbers and units together", async () => {
    const html = await page();
    const ticks = [...html.matchAll(/text-anchor="end">([^<]*)<\/text>/g)].map(
      ([, tick = ""]) => tick,
    );
    expect(ticks.filter((tick) => /^\d/.test(tick) && !/^\d+(m \d+s)?$/.test(tick))).toEqual([]);
    expect(html).toMatch(/<td>[\d.]+&nbsp;m?s<\/td>/);
  });
  test("writes names as text", async () => {
    const html = await page();
    expect(html).toContain("a&lt;b&gt;&amp;&quot;c&#39;.yaml");
    expect(html).not.toContain(name);
  });
  test("needs nothing else, and runs nothing", async () => {
    const html = await page();
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<script|<link|<img|url\(|@import|https?:/);
    expect(html).toContain("prefers-color-scheme: dark");
  });
});
