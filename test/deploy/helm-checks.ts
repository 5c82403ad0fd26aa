/**
 * The chart through Helm itself: `bun test ./test/deploy/helm-checks.ts`, with `helm` in PATH or
 * named by `HELM`. Not part of a plain `bun test`, which must not depend on Helm; run by name it
 * fails where there is none, rather than skip.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import {
  chartPath,
  helm as helmOf,
  manifestsPath,
  renderManifests,
} from "../../tools/render-manifests.ts";
import {
  containerOf,
  expectConsistent,
  expectLeastRights,
  expectNamespace,
  expectRestricted,
  expectUnprivilegedRoot,
  workloadsOf,
} from "./invariants.ts";
import { ofKind, only, parseObjects } from "./kinds.ts";

const binary = process.env["HELM"] ?? "helm";
const helm = (...args: readonly string[]) => helmOf(binary, ...args);
const sets = (...pairs: readonly string[]) => pairs.flatMap((pair) => ["--set", pair]);

function render(...options: readonly string[]) {
  const base = ["template", "any-release", chartPath, "--namespace", "gpu-scaling"];
  return parseObjects(helm(...base, ...options));
}

/** Each `# values: name` block of the README. */
const readme = await Bun.file(join(chartPath, "..", "..", "README.md")).text();
const blocks = [...readme.matchAll(/^```yaml\n# values: (\S+)\n([\s\S]*?)^```$/gm)].map(
  ([, name = "", values = ""]) => [name, values] as const,
);

/** Renders with the values of a README block. */
function renderBlock(name: string, ...options: readonly string[]) {
  const values = blocks.find(([each]) => each === name)?.[1];
  if (values === undefined) throw new Error(`deploy/README.md has no values block ${name}`);
  const path = join(tmpdir(), `values-${name}-${process.pid}.yaml`);
  return Bun.write(path, values)
    .then(() => render("--values", path, ...options))
    .finally(() => Bun.file(path).delete());
}

test("helm lint finds nothing", () => {
  expect(helm("lint", "--strict", chartPath)).toContain("0 chart(s) failed");
});

test("deploy/manifests.yaml is what Helm renders", async () => {
  expect(await Bun.file(manifestsPath).text()).toBe(await renderManifests(binary));
});

describe("every values block of the README renders", () => {
  test("there are some", () => expect(blocks.length).toBeGreaterThanOrEqual(9));

  test.each(blocks)("%s", async (name) => {
    const objects = await renderBlock(name);
    expectConsistent(objects);
    expectNamespace(objects, "gpu-scaling");
    expectLeastRights(objects);
    for (const { spec } of ofKind(objects, "Deployment")) expectRestricted(spec.template.spec);
    for (const { spec } of ofKind(objects, "Pod")) expectRestricted(spec);
    if (name === "gke") return;
    expectUnprivilegedRoot(only(ofKind(objects, "DaemonSet")).spec.template.spec);
  });
});

const agentOf = (objects: ReturnType<typeof render>) => only(ofKind(objects, "DaemonSet"));
const agentPod = (objects: ReturnType<typeof render>) => agentOf(objects).spec.template.spec;

describe("label values given with --set", () => {
  test.each([
    ["nodeSelector.nvidia\\.com/gpu\\.present=true", "nvidia.com/gpu.present", "true"],
    ["nodeSelector.gpus=8", "gpus", "8"],
    ["nodeSelector.gpus=1000000", "gpus", "1000000"],
    ["nodeSelector.share=0.5", "share", "0.5"],
    ["nodeSelector.pool=a100", "pool", "a100"],
  ])("%s is text", (pair, key, value) => {
    expect(agentPod(render(...sets(pair))).nodeSelector).toMatchObject({ [key]: value });
  });

  test.each(["nodeSelector=null", "nodeSelector.nvidia\\.com/gpu\\.present=null"])(
    "%s removes the default",
    (pair) => expect(agentPod(render(...sets(pair))).nodeSelector).toBeUndefined(),
  );
});

describe("what the agent gets", () => {
  const visible = (objects: ReturnType<typeof render>) =>
    containerOf(agentOf(objects)).env?.find(({ name }) => name === "NVIDIA_VISIBLE_DEVICES");

  test("a RuntimeClass, unless it is empty", () => {
    expect(agentPod(render()).runtimeClassName).toBe("nvidia");
    expect(agentPod(render(...sets("runtimeClassName="))).runtimeClassName).toBeUndefined();
  });

  test("devices as mounts", async () => {
    const objects = await renderBlock("volume-mounts");
    expect(visible(objects)).toHaveProperty("value", "/var/run/nvidia-container-devices");
    expect(agentPod(objects).volumes).toContainEqual({
      name: "all-gpus",
      hostPath: { path: "/dev/null", type: "CharDevice" },
    });
  });

  test("devices by CDI, and not a second time by the variable", async () => {
    const objects = await renderBlock("cdi");
    expect(visible(objects)).toHaveProperty("value", "void");
    expect(agentOf(objects).spec.template.metadata.annotations).toMatchObject({
      "cdi.k8s.io/keda-gpu-scaler": "nvidia.com/gpu=all",
    });
  });

  test("the driver's folder, and only then privilege", async () => {
    const objects = await renderBlock("gke");
    expect(containerOf(agentOf(objects)).securityContext).toEqual({
      privileged: true,
      readOnlyRootFilesystem: true,
    });
    expect(containerOf(agentOf(objects)).args).toContain(
      "--nvml-library=/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    );
  });

  test("no NVIDIA at all with the mock, and its file when one is given", async () => {
    expect(visible(await renderBlock("mock"))).toBeUndefined();
    const objects = await renderBlock("mock", ...sets("mock=devices: []", "gpu.library=/x.so"));
    expect(containerOf(agentOf(objects)).args?.join(" ")).not.toContain("--nvml-library");
    expect(agentPod(objects).runtimeClassName).toBeUndefined();
    expect(containerOf(agentOf(objects)).args).toContain("--mock=/etc/keda-gpu-scaler/mock.yaml");
    expect(only(ofKind(objects, "ConfigMap")).data).toEqual({ "mock.yaml": "devices: []\n" });
  });

  test("another SELinux type on OpenShift, and rights that name its account", async () => {
    const objects = await renderBlock("openshift");
    expect(agentPod(objects).securityContext?.seLinuxOptions).toEqual({ type: "spc_t" });
    expect(only(ofKind(objects, "SecurityContextConstraints")).users).toEqual([
      "system:serviceaccount:gpu-scaling:keda-gpu-scaler-agent",
    ]);
    const scaler = only(ofKind(objects, "Deployment")).spec.template.spec;
    expect(scaler.securityContext?.runAsUser).toBeUndefined();
  });
});

test("mode daemonset is one process that answers KEDA and may read the cluster", async () => {
  const objects = await renderBlock("single-node");
  const workload = only(workloadsOf(objects));
  expect(workload.metadata.name).toBe("keda-gpu-scaler");
  expect(containerOf(workload).args).toContain("--role=all");
  expect(workload.spec.template.spec.automountServiceAccountToken).toBe(true);
  expect(only(ofKind(objects, "Service")).metadata.name).toBe("keda-gpu-scaler");
});

test("every option can be on at once, in both modes", async () => {
  const split = await renderBlock("options");
  expect(ofKind(split, "NetworkPolicy").length).toBe(2);
  expect(ofKind(split, "ServiceMonitor").length).toBe(2);
  expect(containerOf(only(ofKind(split, "Deployment"))).image).toContain("@sha256:");
  const one = await renderBlock("options", ...sets("mode=daemonset"));
  expectConsistent(one);
  expect(ofKind(one, "NetworkPolicy").length).toBe(1);
  expect(ofKind(one, "ServiceMonitor").length).toBe(1);
});

test.each(["split", "daemonset"])("profiles reach who answers KEDA in mode %s", (mode) => {
  const profile = "profiles.chat.metric=queue_depth,profiles.chat.target=2000000";
  const hosts = "allowEndpoints={*.llm.example.com,10.0.0.7:8000}";
  const objects = render(...sets(`mode=${mode}`, profile, hosts));
  expectConsistent(objects);
  const text = only(ofKind(objects, "ConfigMap")).data["profiles.yaml"] ?? "";
  expect(parseProfiles(text).table?.get("chat")?.target).toBe(2_000_000);
  const answering = only(
    workloadsOf(objects).filter(({ metadata }) => metadata.name === "keda-gpu-scaler"),
  );
  const { args = [], volumeMounts = [] } = containerOf(answering);
  const path = args.find((arg) => arg.startsWith("--profiles="))?.replace("--profiles=", "");
  const mount = only(volumeMounts.filter(({ name }) => name === "profiles"));
  expect(path).toBe(`${mount.mountPath}/profiles.yaml`);
  expect(args).toContain("--allow-endpoint=*.llm.example.com,10.0.0.7:8000");
  // Nobody else is told: an agent answers nothing.
  for (const other of workloadsOf(objects).filter((each) => each !== answering))
    expect(containerOf(other).args?.join(" ")).not.toMatch(/profiles|allow-endpoint/);
});

test("a parent chart may bring its global values", () => {
  expect(render(...sets("global.region=eu"))).toEqual(render());
});

test("the dashboard arrives whole", () => {
  const dashboard = only(ofKind(render(...sets("dashboard.enabled=true")), "ConfigMap"));
  expect(JSON.parse(dashboard.data["keda-gpu-scaler.json"] ?? "")).toHaveProperty("panels");
});

test("roles, and the budget, can be left to somebody else", () => {
  const objects = render(...sets("rbac.create=false", "scaler.podDisruptionBudget.enabled=false"));
  expect(ofKind(objects, "ClusterRole")).toEqual([]);
  expect(ofKind(objects, "PodDisruptionBudget")).toEqual([]);
});

describe("refused", () => {
  test.each([
    ["an unknown value", ["replicaCount=2"], "'replicaCount' not allowed"],
    ["an unknown value inside", ["scaler.replicaCount=2"], "'replicaCount' not allowed"],
    ["a misspelt toleration", ["tolerations[0].keys=x"], "'keys' not allowed"],
    ["an unknown mode", ["mode=deployment"], "/mode"],
    ["an unknown access", ["gpu.access=magic"], "/gpu/access"],
    ["a half digest", ["image.digest=sha256:12"], "/image/digest"],
    ["no scaler", ["scaler.replicas=0"], "/scaler/replicas"],
    ["a time without unit", ["sampleInterval=5"], "/sampleInterval"],
    ["an argument that is no flag", ["agent.extraArgs[0]=serve"], "/agent/extraArgs"],
    ["a label that is a list", ["nodeSelector.a[0]=b"], "/nodeSelector/a"],
    ["host-path without privilege", ["gpu.access=host-path"], "set agent.privileged=true"],
    ["a profile without a target", ["profiles.chat.metric=queue_depth"], "/profiles/chat"],
    ["a profile by a bad name", ["profiles.Chat.metric=a,profiles.Chat.target=1"], "Chat"],
    ["two hosts as one", ["allowEndpoints[0]=a b"], "/allowEndpoints/0"],
    ["a mock that nothing reads", ["mock=devices:"], "set collector=mock"],
  ])("%s", (_what, pairs, reason) => {
    expect(() => render(...sets(...pairs))).toThrow(reason);
  });
});
