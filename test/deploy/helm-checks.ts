/**
 * The chart through Helm itself: `bun test ./test/deploy/helm-checks.ts`, with `helm` in PATH or
 * named by `HELM`. Not part of a plain `bun test`, which must not depend on Helm; run by name it
 * fails where there is none, rather than skip.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { parseArguments } from "#cli/arguments.ts";
import { commands } from "#cli/commands/all.ts";
import { builtInTable, exporterNames } from "#device/exporter/tables.ts";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { chartPath, manifestsPath, renderManifests } from "../../tools/render-manifests.ts";
import {
  agentOf,
  agentPod,
  binary,
  blocks,
  helm,
  type Objects,
  render,
  renderBlock,
  scalerOf,
  sets,
} from "./helm-render.ts";
import {
  containerOf,
  expectConsistent,
  expectLeastRights,
  expectNamespace,
  expectNoTokenBesideGpus,
  expectRestricted,
  expectUnprivilegedRoot,
  workloadsOf,
} from "./invariants.ts";
import { ofKind, only } from "./kinds.ts";
import "./helm-network.ts";
import "./helm-policy.ts";
import "./helm-refusals.ts";
import "./helm-tls.ts";

test("helm lint finds nothing", () => {
  expect(helm("lint", "--strict", chartPath)).toContain("0 chart(s) failed");
});

test("deploy/manifests.yaml is what Helm renders", async () => {
  expect(await Bun.file(manifestsPath).text()).toBe(await renderManifests(binary));
});

/** Where an agent may call: ports of its one rule of egress, `undefined` for all. */
function egressPorts(objects: Objects): readonly unknown[] {
  const policy = ofKind(objects, "NetworkPolicy").find(
    ({ metadata }) => metadata.name === "keda-gpu-scaler-agent",
  );
  return (policy?.spec.egress ?? []).flatMap(({ ports = [] }) => ports.map(({ port }) => port));
}

/** The program takes the arguments, each by its own rule. */
function expectStarts([command = "", ...args]: readonly string[]): void {
  expect(command).toBe("serve");
  expect(() => parseArguments(command, commands.serve, [...args])).not.toThrow();
}

describe("every values block of the documents renders", () => {
  test("there are some", () => expect(blocks.length).toBeGreaterThanOrEqual(9));

  test.each(blocks)("%s", async (name) => {
    const objects = await renderBlock(name);
    expectConsistent(objects);
    expectNamespace(objects, "gpu-scaling");
    expectLeastRights(objects);
    for (const workload of workloadsOf(objects)) expectStarts(containerOf(workload).args ?? []);
    for (const { spec } of ofKind(objects, "Deployment")) expectRestricted(spec.template.spec);
    for (const { spec } of ofKind(objects, "Pod")) expectRestricted(spec);
    // Where every node has GPUs, or none has, there is no other for the token.
    if (!["single-node", "mock", "kind"].includes(name)) expectNoTokenBesideGpus(objects);
    if (name === "gke") return;
    expectUnprivilegedRoot(only(ofKind(objects, "DaemonSet")).spec.template.spec);
  });
});

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

  test("no NVIDIA at all for AMD's GPUs, which take no right and no volume of their own", async () => {
    const objects = await renderBlock("amd", ...sets("gpu.access=host-path", "gpu.library=/x.so"));
    expect(visible(objects)).toBeUndefined();
    const { runtimeClassName, nodeSelector, volumes } = agentPod(objects);
    expect(runtimeClassName).toBeUndefined();
    expect(nodeSelector).toEqual({ "feature.node.kubernetes.io/amd-gpu": "true" });
    expect(volumes?.map(({ name }) => name)).toEqual(["pod-resources"]);
    expect(containerOf(agentOf(objects)).args).toContain("--collector=amdgpu");
    expect(containerOf(agentOf(objects)).args?.join(" ")).not.toContain("--nvml-library");
  });

  test("an exporter on the node, by the node's address and on one port", async () => {
    const objects = await renderBlock("gaudi");
    expect(visible(objects)).toBeUndefined();
    const agent = containerOf(agentOf(objects));
    expect(agentPod(objects).runtimeClassName).toBeUndefined();
    expect(agent.args).toContain("--collector=exporter");
    expect(agent.args).toContain("--exporter=gaudi");
    expect(agent.env).toContainEqual({
      name: "NODE_IP",
      valueFrom: { fieldRef: { fieldPath: "status.hostIP" } },
    });
    const neuron = await renderBlock("neuron");
    expect(containerOf(agentOf(neuron)).args).toContain("--exporter-url=http://$(NODE_IP):8008/");
    expect(egressPorts(neuron)).toEqual([8008]);
    const file = ["collector=exporter", "exporter.name=/etc/acme/table.yaml"];
    expect(egressPorts(render(...sets(...file)))).toEqual([undefined]);
  });

  test.each([...exporterNames])("the port that exporter %s usually has", (name) => {
    const objects = render(...sets("collector=exporter", `exporter.name=${name}`));
    expect(egressPorts(objects)).toEqual([builtInTable(name).port]);
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

test("every option can be on at once", async () => {
  const objects = await renderBlock("options");
  expect(ofKind(objects, "ServiceMonitor").length).toBe(2);
  expect(containerOf(scalerOf(objects)).image).toContain("@sha256:");
});

describe("where scalers run", () => {
  test("not where the agents' labels lead, whatever they are", () => {
    const objects = render(...sets("nodeSelector.pool=a100", "nodeSelector.gpus=8"));
    expectNoTokenBesideGpus(objects);
  });

  test("anywhere once that is allowed, or as their own nodeAffinity says", async () => {
    const anywhere = await renderBlock("single-node");
    expect(scalerOf(anywhere).spec.template.spec.affinity).toBeUndefined();
    const chosen = "scaler.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    const term = `${chosen}.nodeSelectorTerms[0].matchExpressions[0]`;
    const own = render(...sets(`${term}.key=pool`, `${term}.operator=Exists`));
    const { affinity } = scalerOf(own).spec.template.spec;
    expect(JSON.stringify(affinity)).not.toContain("nvidia.com");
    expect(JSON.stringify(affinity)).toContain("pool");
  });
});

describe("priority classes", () => {
  const classesOf = (objects: Objects) =>
    workloadsOf(objects).map(({ spec }) => spec.template.spec.priorityClassName);

  test("can be others, or none", () => {
    const names = ["agent.priorityClassName=gpu-daemons", "scaler.priorityClassName="];
    expect(classesOf(render(...sets(...names)))).toEqual(["gpu-daemons", undefined]);
  });

  test("a quota admits them where the platform wants one, and only them", async () => {
    expect(ofKind(render(), "ResourceQuota")).toEqual([]);
    const objects = await renderBlock("gke");
    const { scopeSelector } = only(ofKind(objects, "ResourceQuota")).spec;
    const [{ values = [] } = {}] = scopeSelector.matchExpressions;
    expect<readonly (string | undefined)[]>(classesOf(objects)).toEqual(values);
  });
});

test("ServiceAccounts carry annotations, and no token by themselves", () => {
  const key = "iam\\.example\\.com/role";
  const pairs = [`scaler.serviceAccount.annotations.${key}=reader`];
  pairs.push(`agent.serviceAccount.annotations.${key}=1`);
  const accounts = ofKind(render(...sets(...pairs)), "ServiceAccount");
  expect(accounts.map(({ metadata }) => metadata.annotations)).toEqual([
    { "iam.example.com/role": "reader" },
    { "iam.example.com/role": "1" },
  ]);
  expect(accounts.map((each) => each.automountServiceAccountToken)).toEqual([false, false]);
});

test("each namespace's tokens lie in its own folder, at the scaler alone", async () => {
  const objects = await renderBlock("engine-tokens");
  const { args = [], volumeMounts = [] } = containerOf(scalerOf(objects));
  const { volumes = [] } = scalerOf(objects).spec.template.spec;
  const folder = args
    .find((arg) => arg.startsWith("--engine-token-dir="))
    ?.replace("--engine-token-dir=", "");
  const found = volumeMounts.map(({ name, mountPath, readOnly }) => ({
    mountPath,
    readOnly,
    secret: volumes.find((volume) => volume.name === name)?.secret?.secretName,
  }));
  expect(found).toEqual([
    { mountPath: `${folder}/team-a`, readOnly: true, secret: "team-a-engine-tokens" },
    { mountPath: `${folder}/team-b`, readOnly: true, secret: "team-b-engine-tokens" },
  ]);
  expect(JSON.stringify(agentOf(objects))).not.toContain("token-dir");
});

test("each namespace's authorities lie in its own folder, at the scaler alone", async () => {
  const objects = await renderBlock("engine-cas");
  const { args = [], volumeMounts = [] } = containerOf(scalerOf(objects));
  const { volumes = [] } = scalerOf(objects).spec.template.spec;
  const folder = args
    .find((arg) => arg.startsWith("--engine-ca-dir="))
    ?.replace("--engine-ca-dir=", "");
  const found = volumeMounts.map(({ name, mountPath, readOnly }) => ({
    mountPath,
    readOnly,
    configMap: volumes.find((volume) => volume.name === name)?.configMap?.name,
  }));
  expect(found).toEqual([
    { mountPath: `${folder}/team-a`, readOnly: true, configMap: "team-a-engine-cas" },
    { mountPath: `${folder}/team-b`, readOnly: true, configMap: "team-b-engine-cas" },
  ]);
  expect(JSON.stringify(agentOf(objects))).not.toContain("engine-ca");
});

test("profiles reach the scaler", () => {
  const profile = "profiles.chat.metric=queue_depth,profiles.chat.target=2000000";
  const hosts = "allowEndpoints={*.llm.example.com,10.0.0.7:8000}";
  const objects = render(
    ...sets(profile, hosts, "allowScopes={workload,node}", "allowHostNetwork=true"),
  );
  expectConsistent(objects);
  const text = only(ofKind(objects, "ConfigMap")).data["profiles.yaml"] ?? "";
  expect(parseProfiles(text).table?.get("chat")?.target).toBe(2_000_000);
  const { args = [], volumeMounts = [] } = containerOf(scalerOf(objects));
  const path = args.find((arg) => arg.startsWith("--profiles="))?.replace("--profiles=", "");
  const mount = only(volumeMounts.filter(({ name }) => name === "profiles"));
  expect(path).toBe(`${mount.mountPath}/profiles.yaml`);
  expect(args).toContain("--allow-endpoint=*.llm.example.com,10.0.0.7:8000");
  expect(args).toContain("--allow-scope=workload,node");
  expect(args).toContain("--allow-host-network");
  // Nobody else is told: an agent answers nothing.
  expect(containerOf(agentOf(objects)).args?.join(" ")).not.toMatch(/profiles|allow-/);
});

test("the status page can be switched off, in both roles", () => {
  for (const enabled of [true, false])
    for (const workload of workloadsOf(render(...sets(`statusPage.enabled=${enabled}`))))
      expect(containerOf(workload).args?.includes("--no-page")).toBe(!enabled);
});

const rulesOf = (objects: Objects) => only(ofKind(objects, "ClusterRole")).rules;

test("only with deletion costs may scalers change objects of others, and then pods alone", () => {
  const objects = render(...sets("scaler.deletionCost.enabled=true"));
  expectConsistent(objects);
  const { args = [] } = containerOf(scalerOf(objects));
  expect(args).toContain("--deletion-cost");
  expectStarts(args);
  const added = { apiGroups: [""], resources: ["pods"], verbs: ["patch"] } as const;
  const isAdded = (rule: unknown) => Bun.deepEquals(rule, added);
  expect(rulesOf(objects).filter(isAdded)).toHaveLength(1);
  expect(rulesOf(objects).filter((rule) => !isAdded(rule))).toEqual(rulesOf(render()));
  expect(containerOf(agentOf(objects)).args?.join(" ")).not.toContain("deletion");
  expect(containerOf(scalerOf(render())).args?.join(" ")).not.toContain("deletion");
});

describe("with the attribution of processes", () => {
  const objects = render(...sets("processAttribution=true", "openshift=true"));
  const namespaceOf = (rendered: Objects) => agentPod(rendered).hostPID;

  test("agents, and they alone, are in their node's pid namespace, without a right more", () => {
    expectConsistent(objects);
    const { args = [] } = containerOf(agentOf(objects));
    expect(args).toContain("--process-attribution");
    expectStarts(args);
    expect(namespaceOf(objects)).toBe(true);
    const { hostPID, ...rest } = agentPod(objects);
    expectUnprivilegedRoot(rest);
    expectRestricted(scalerOf(objects).spec.template.spec);
    expect(containerOf(scalerOf(objects)).args).not.toContain("--process-attribution");
    expectLeastRights(objects);
  });
  test("OpenShift lets them, and nobody without it", () => {
    const allowed = (rendered: Objects) =>
      only(ofKind(rendered, "SecurityContextConstraints")).allowHostPID;
    expect(allowed(objects)).toBe(true);
    const without = render(...sets("openshift=true"));
    expect([allowed(without), namespaceOf(without)]).toEqual([false, undefined]);
    expect(containerOf(agentOf(without)).args).not.toContain("--process-attribution");
  });
});

test("without events scalers change nothing and say so to the process", () => {
  const objects = render(...sets("scaler.events.enabled=false"));
  expectConsistent(objects);
  const { args = [] } = containerOf(scalerOf(objects));
  expect(args).toContain("--no-events");
  expectStarts(args);
  const verbs = rulesOf(objects).flatMap((rule) => rule.verbs);
  expect([...new Set(verbs)].toSorted()).toEqual(["get", "list", "watch"]);
  expect(rulesOf(render()).filter((rule) => rule.verbs.some((verb) => verb === "create"))).toEqual([
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  ]);
  expect(containerOf(scalerOf(render())).args?.join(" ")).not.toContain("events");
  expect(containerOf(agentOf(objects)).args?.join(" ")).not.toContain("events");
});

test("a parent chart may bring its global values", () => {
  expect(render(...sets("global.region=eu"))).toEqual(render());
});

test("the dashboards arrive whole", () => {
  const { data } = only(ofKind(render(...sets("dashboard.enabled=true")), "ConfigMap"));
  expect(Object.keys(data).toSorted()).toEqual([
    "keda-gpu-scaler-energy.json",
    "keda-gpu-scaler-workload.json",
    "keda-gpu-scaler.json",
  ]);
  for (const text of Object.values(data)) expect(JSON.parse(text)).toHaveProperty("panels");
});

test("the alerts arrive whole, with runbooks where the operator has them", async () => {
  expect(ofKind(render(), "PrometheusRule")).toEqual([]);
  const at = "https://example.test/operating.md";
  const args = sets("prometheusRule.enabled=true", `prometheusRule.runbook=${at}`);
  const { spec } = only(ofKind(render(...args), "PrometheusRule"));
  const file = await Bun.file(join(chartPath, "rules", "alerts.yaml")).text();
  expect<unknown>(spec).toEqual(Bun.YAML.parse(file.replaceAll("docs/operating.md", at)));
});

test("a scaler's series keep the namespace of their ScaledObject", () => {
  const args = sets("serviceMonitor.enabled=true", "networkPolicy.enabled=false");
  const monitors = ofKind(render(...args), "ServiceMonitor");
  const honoring = monitors.filter(({ spec }) => spec.endpoints.some((each) => each.honorLabels));
  expect(honoring.map(({ metadata }) => metadata.name)).toEqual(["keda-gpu-scaler"]);
});

test("roles, and the budget, can be left to somebody else", () => {
  const objects = render(...sets("rbac.create=false", "scaler.podDisruptionBudget.enabled=false"));
  expect(ofKind(objects, "ClusterRole")).toEqual([]);
  expect(ofKind(objects, "PodDisruptionBudget")).toEqual([]);
});
