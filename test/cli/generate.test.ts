import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseYaml } from "#core/yaml-text.ts";
import { profileAdvice } from "#trigger/advice.ts";
import { frontEndNames } from "#trigger/front-ends.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import { runCommand } from "../support/cli.ts";

// Each simulation takes a moment, and a loaded machine takes more.
setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "generate-"));
afterAll(() => rmSync(folder, { recursive: true }));

const generate = (...args: string[]) => runCommand(["generate", ...args]);

interface Generated {
  readonly metadata: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly triggers: readonly {
      readonly type: string;
      readonly metricType?: string;
      readonly metadata: Readonly<Record<string, string>>;
    }[];
  };
}
async function objectOf(...args: string[]): Promise<Generated> {
  const { stdout, stderr } = await generate(...args);
  expect(stderr).toBe("");
  const yaml = parseYaml(stdout);
  if (yaml.problems !== undefined) throw new Error(yaml.problems.join("\n"));
  return yaml.value as Generated;
}

/** What the other commands say of a file. */
async function accepted(text: string) {
  const path = join(folder, "object.yaml");
  writeFileSync(path, text);
  const validated = await runCommand(["validate", path]);
  const load = ["--load", "1 rps for 1m"];
  const simulated = await runCommand(["simulate", "--scaledobject", path, ...load]);
  return { validated, simulated };
}

const kinds = ["Deployment", "StatefulSet", "LeaderWorkerSet"] as const;

describe.each(kinds)("for a %s", (kind) => {
  test.each(profileNames)("%s passes validate and simulate unchanged", async (profile) => {
    const { exitCode, stdout, stderr } = await generate(
      ...["--profile", profile, "--target", `${kind}/chat`, "--namespace", "inference"],
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    const { validated, simulated } = await accepted(stdout);
    expect(validated.stdout).toMatch(/^\d triggers? in 1 object checked: 0 errors, 0 warnings\n$/);
    expect(simulated).toMatchObject({ exitCode: 0, stderr: "" });
    expect(simulated.stdout).not.toContain("warning");
  });
});

describe.each(frontEndNames)("from zero by %s", (frontEnd) => {
  const args = ["--profile", "llm-concurrency", "--target", "deploy/chat", "--namespace", "a"];

  test("passes validate and simulate", async () => {
    const { stdout } = await generate(...args, "--from-zero", frontEnd);
    const { validated, simulated } = await accepted(stdout);
    // The interceptor of the HTTP add-on is in another namespace, which an operator has to allow.
    const warnings = frontEnd === "http-add-on" ? 1 : 0;
    expect(validated.stdout).toContain(
      `2 triggers in 1 object checked: 0 errors, ${warnings} warning`,
    );
    expect(simulated).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("has a second, pushed trigger that can wake the workload", async () => {
    const { spec } = await objectOf(...args, "--from-zero", frontEnd, "--endpoint", "http://x:1/m");
    expect(spec["minReplicaCount"]).toBe(0);
    expect(spec.triggers.map(({ type }) => type)).toEqual(["external", "external-push"]);
    expect(spec.triggers[1]?.metadata).toMatchObject({ endpoint: "http://x:1/m" });
  });
});

describe("what it says", () => {
  const base = ["--profile", "vllm-queue-depth", "--target", "statefulset/chat"];

  test("is the target, the limits and what the profile advises", async () => {
    const { metadata, spec } = await objectOf(...base, "--min", "2", "--max", "6");
    const { scaleUp, scaleDown, cooldownSeconds } = profileAdvice["vllm-queue-depth"];
    expect(metadata).toEqual({ name: "chat" });
    expect(spec).toEqual({
      scaleTargetRef: { apiVersion: "apps/v1", kind: "StatefulSet", name: "chat" },
      minReplicaCount: 2,
      maxReplicaCount: 6,
      cooldownPeriod: cooldownSeconds,
      advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleUp, scaleDown } } },
      triggers: [
        {
          type: "external",
          metadata: {
            scalerAddress: "keda-gpu-scaler.keda.svc.cluster.local:6000",
            profile: "vllm-queue-depth",
          },
        },
        {
          type: "external",
          metadata: {
            scalerAddress: "keda-gpu-scaler.keda.svc.cluster.local:6000",
            profile: "llm-concurrency",
            targetValue: "32",
          },
        },
      ],
    });
  });

  test("may be pushed, elsewhere, and idle at zero with more replicas in use", async () => {
    const { metadata, spec } = await objectOf(
      ...[...base, "--namespace", "b", "--push", "--scaler-address", "s:1"],
      ...["--from-zero", "vllm-router", "--min", "2"],
    );
    expect(metadata).toEqual({ name: "chat", namespace: "b" });
    expect(spec).toMatchObject({ idleReplicaCount: 0, minReplicaCount: 2 });
    expect(spec.triggers[0]).toMatchObject({
      type: "external-push",
      metadata: { scalerAddress: "s:1" },
    });
  });

  test.each(["123", "true", "no", "1e3", "0x1f"])("is text also for the name %s", async (name) => {
    const { metadata, spec } = await objectOf("--profile", "batch", "--target", `sts/${name}`);
    expect(metadata).toEqual({ name });
    expect(spec["scaleTargetRef"]).toMatchObject({ name });
  });

  test("has comments with the reasons", async () => {
    const { stdout } = await generate(...base);
    const comments = stdout.split("\n").filter((line) => line.trimStart().startsWith("#"));
    expect(comments.join(" ")).toContain("No fallback: what is not known is an error, never 0");
    expect(comments[0]).toStartWith("# Profile vllm-queue-depth, for: ");
  });

  test.each(profileNames)("of %s has the metricType that its target is meant for", async (name) => {
    const { spec } = await objectOf("--profile", name, "--target", "deployment/chat");
    const own = spec.triggers.find(({ metadata }) => metadata["profile"] === name);
    expect(own?.metricType ?? "AverageValue").toBe(profileOf(name).metricType);
  });
});

test("a profile of a file", async () => {
  const own = join(folder, "own.yaml");
  writeFileSync(
    own,
    `profiles:
  chat: { metric: e2e_p95_ms, target: 4000, scalesToZero: false }
  page: { metric: engine_metric, target: 4, engine: prometheus, engineMetric: jobs }
`,
  );
  const base = ["--profiles", own, "--target", "deployment/chat", "--profile"];
  const { spec } = await objectOf(...base, "chat");
  expect(spec.triggers.map(({ metricType }) => metricType)).toEqual(["Value", undefined]);
  expect((await objectOf(...base, "page", "--endpoint", "http://jobs:80/")).spec).toMatchObject({
    minReplicaCount: 0,
    triggers: [{ type: "external-push", metadata: { endpoint: "http://jobs:80/" } }],
  });
  const { exitCode, stderr } = await generate(...base, "page");
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: expect.stringContaining("endpoint: must be given for engine prometheus"),
  });
});

describe("wrong usage", () => {
  const target = ["--target", "deployment/chat"];
  const queue = ["--profile", "vllm-queue-depth"];
  test.each([
    [[], "--profile must be a profile, got nothing"],
    [queue, "--target must be KIND/NAME, with KIND one of Deployment, StatefulSet, LeaderW"],
    [[...target, "--profile", "vllm"], "did you mean vllm-inference, vllm-queue-depth or vllm-kv"],
    [[...queue, "--target", "daemonset/x"], "--target must be KIND/NAME"],
    [[...queue, "--target", "constructor/x"], "--target must be KIND/NAME"],
    [[...queue, "--target", "deployment/a/b"], "--target must be KIND/NAME"],
    [[...queue, "--target", "deployment/A"], "--target must be KIND/NAME"],
    [[...queue, ...target, "--max", "0"], "--max must be at least 1, got 0"],
    [[...queue, ...target, "--min", "11"], "--max must be at least 11, got 10"],
    [[...queue, ...target, "--min", "0"], "--min 0 needs --from-zero"],
    [[...queue, ...target, "--endpoint", "http://a"], "--endpoint is for --from-zero"],
    [[...queue, ...target, "--from-zero", "nginx"], "--from-zero must be one of router, epp"],
    [["--profile", "training", ...target, "--min", "0"], "never goes to zero; leave --min 0 out"],
    [
      ["--profile", "training", ...target, "--from-zero", "epp"],
      "never goes to zero; leave --from-zero out",
    ],
    [
      ["--profile", "gateway-flow-control", ...target, "--from-zero", "router"],
      "which wakes the workload itself; leave --from-zero out",
    ],
  ])("%j", async (args, text) => {
    const { stderr, ...result } = await generate(...args);
    expect(stderr).toContain(text);
    expect(result).toEqual({ exitCode: 2, stdout: "" });
  });
});
