import { describe, expect, test } from "bun:test";
import { basename, join } from "node:path";
import { metricOf } from "#metric/catalogue.ts";
import { frontEndNames } from "#trigger/front-ends.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { canWake, triggerWarnings } from "#trigger/warnings.ts";
import { runCommand } from "../support/cli.ts";
import { type KedaTrigger, ofKind, only, parseObjects } from "./kinds.ts";

const scalerAddress = "keda-gpu-scaler.keda.svc.cluster.local:6000";
const directory = join(import.meta.dir, "..", "..", "deploy", "examples");
const paths = [...new Bun.Glob("**/*.yaml").scanSync({ cwd: directory })].toSorted();
const files = new Map(
  await Promise.all(
    paths.map(
      async (path) => [path, parseObjects(await Bun.file(join(directory, path)).text())] as const,
    ),
  ),
);
const scaledObjects = [...files].flatMap(([path, objects]) =>
  ofKind(objects, "ScaledObject").map((object) => [path, object.spec] as const),
);
const isOurs = ({ metadata }: KedaTrigger) => metadata["scalerAddress"] === scalerAddress;

test("there is one example a profile, and no other", () => {
  const named = paths.filter((path) => path.startsWith("profiles/"));
  expect(named.map((path) => basename(path, ".yaml")).toSorted()).toEqual(profileNames.toSorted());
});

test("there is one example of each front end that wakes from zero", () => {
  const named = paths.filter((path) => path.startsWith("from-zero/"));
  expect(named.map((path) => basename(path, ".yaml")).toSorted()).toEqual(frontEndNames.toSorted());
});

test("deploy/README.md lists every example but those of profiles, and no other", async () => {
  const readme = await Bun.file(join(directory, "..", "README.md")).text();
  const listed = [...readme.matchAll(/^\| `examples\/([^`*]+\.yaml)`/gm)].map(([, path]) => path);
  const expected = paths.filter((path) => !path.startsWith("profiles/"));
  expect(listed.toSorted()).toEqual(expected);
});

test.each(profileNames)("profiles/%s.yaml shows that profile, unchanged", (profile) => {
  const { spec } = only(ofKind(files.get(`profiles/${profile}.yaml`) ?? [], "ScaledObject"));
  const own = only(spec.triggers.filter(({ metadata }) => metadata["profile"] === profile));
  const { metric, target, activationThreshold } = profileOf(profile);
  expect(parseTrigger(own.metadata)).toMatchObject({
    profile,
    metric,
    target,
    activationThreshold,
  });
});

describe.each(scaledObjects)("%s", (_path, spec) => {
  const ours = spec.triggers.filter(isOurs);

  test("the scaler takes each trigger's metadata", () => {
    expect(ours.length).toBeGreaterThan(0);
    for (const { metadata } of ours) expect(() => parseTrigger(metadata)).not.toThrow();
  });

  test("a latency is compared as it is, and everything else adds up over replicas", () => {
    for (const { metadata, metricType } of ours) {
      const { metric } = parseTrigger(metadata);
      const isLatency = metricOf(metric).unit === "ms";
      expect(metricType ?? "AverageValue").toBe(isLatency ? "Value" : "AverageValue");
    }
  });

  test("nothing in it is warned of", () => {
    const all = spec.triggers.map((each) => ({
      type: each.type,
      ...(isOurs(each) ? { trigger: parseTrigger(each.metadata) } : {}),
      metricType: each.metricType ?? ("AverageValue" as const),
    }));
    for (const each of all)
      if (each.trigger !== undefined)
        expect(
          triggerWarnings(each.trigger, {
            minReplicas: spec.minReplicaCount,
            metricType: each.metricType,
            otherTriggers: all.filter((other) => other !== each),
          }),
        ).toEqual([]);
  });

  test("a workload that is never removed keeps a replica", () => {
    const neverRemoved = ours.some(({ metadata }) => parseTrigger(metadata).alwaysActive);
    expect(spec.minReplicaCount).toBeGreaterThanOrEqual(neverRemoved ? 1 : 0);
  });

  test("it says how fast it scales, how long it waits, and what holds while it is blind", () => {
    const { scaleUp, scaleDown } = spec.advanced?.horizontalPodAutoscalerConfig.behavior ?? {};
    expect(scaleDown?.stabilizationWindowSeconds ?? 0).toBeGreaterThanOrEqual(
      scaleUp?.stabilizationWindowSeconds ?? Number.POSITIVE_INFINITY,
    );
    expect(spec.cooldownPeriod).toBeGreaterThan(0);
    expect(spec.fallback?.behavior).toBe("currentReplicasIfHigher");
    expect(spec.fallback?.replicas).toBeGreaterThanOrEqual(Math.max(1, spec.minReplicaCount));
    expect(spec.fallback?.replicas).toBeLessThanOrEqual(spec.maxReplicaCount);
  });
});

/** What the simulator's devices and engines do not say, so that a trigger on it has no value there. */
const unsimulated: ReadonlySet<string> = new Set([
  "power_percent",
  "nvlink_tx_mbps",
  "inter_token_p95_ms",
  "engine_metric",
]);
const flagsOf: Readonly<Record<string, readonly string[]>> = {
  "metrics/gpu-index.yaml": ["--replica-model", "h100x2-70b"],
};
const simulated = scaledObjects.filter(([, { triggers }]) => triggers.every(isOurs));

test.each(simulated)("%s is one that simulate plays", async (path, { triggers }) => {
  const args = ["--load", "2 rps for 10m", "--output", "json", ...(flagsOf[path] ?? [])];
  const file = join(directory, path);
  const result = await runCommand(["simulate", "--scaledobject", file, ...args]);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  const metrics = triggers.map(({ metadata }) => parseTrigger(metadata).metric);
  if (metrics.some((metric) => unsimulated.has(metric))) return;
  const [{ syncs, syncsWithoutValue }] = JSON.parse(result.stdout).runs;
  expect(syncsWithoutValue).toBeLessThan(syncs / 4);
});

const toZero = scaledObjects.filter(([, { minReplicaCount }]) => minReplicaCount === 0);
test.each(toZero)("%s goes to zero, and something can wake it", (_path, { triggers }) => {
  // Its own pods cannot: at zero there are none. Another scaler can, or what stands in front.
  const wakes = triggers.filter(
    (trigger) => !isOurs(trigger) || canWake(parseTrigger(trigger.metadata)),
  );
  expect(wakes.length).toBeGreaterThan(0);
});

test("the production example's parts belong together", () => {
  const objects = files.get("production/vllm.yaml") ?? [];
  const deployment = only(ofKind(objects, "Deployment"));
  const { labels } = deployment.spec.template.metadata;
  expect(only(ofKind(objects, "Service")).spec.selector).toEqual(labels);
  expect(only(ofKind(objects, "PodDisruptionBudget")).spec.selector.matchLabels).toEqual(labels);
  const { scaleTargetRef } = only(ofKind(objects, "ScaledObject")).spec;
  expect(scaleTargetRef.name).toBe(deployment.metadata.name);
  // KEDA owns the number of replicas.
  expect(deployment.spec.replicas).toBeUndefined();
});

test("a trigger with TLS has the authentication beside it", () => {
  const { name } = only(
    ofKind(files.get("tls/authentication.yaml") ?? [], "ClusterTriggerAuthentication"),
  ).metadata;
  const [trigger, ...others] = only(ofKind(files.get("tls/vllm.yaml") ?? [], "ScaledObject")).spec
    .triggers;
  expect(others).toEqual([]);
  expect(trigger?.authenticationRef).toEqual({ name, kind: "ClusterTriggerAuthentication" });
  expect(trigger?.metadata).toMatchObject({ enableTLS: "true", scalerAddress });
});
