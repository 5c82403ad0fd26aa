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
import { commands } from "#cli/commands.ts";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import {
  chartPath,
  helm as helmOf,
  manifestsPath,
  renderManifests,
} from "../../tools/render-manifests.ts";
import {
  apiServer,
  containerOf,
  expectConsistent,
  expectLeastRights,
  expectNamespace,
  expectNoTokenBesideGpus,
  expectRestricted,
  expectUnprivilegedRoot,
  expectWalls,
  prometheus,
  workloadsOf,
} from "./invariants.ts";
import { ofKind, only, parseObjects } from "./kinds.ts";
import { allows } from "./network.ts";

const binary = process.env["HELM"] ?? "helm";
const helm = (...args: readonly string[]) => helmOf(binary, ...args);
const sets = (...pairs: readonly string[]) => pairs.flatMap((pair) => ["--set", pair]);

type Objects = ReturnType<typeof render>;
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
    // Where every node has GPUs, or none has, there is no other for the token.
    if (!["single-node", "mock"].includes(name)) expectNoTokenBesideGpus(objects);
    if (name === "gke") return;
    expectUnprivilegedRoot(only(ofKind(objects, "DaemonSet")).spec.template.spec);
  });
});

const agentOf = (objects: Objects) => only(ofKind(objects, "DaemonSet"));
const scalerOf = (objects: Objects) => only(ofKind(objects, "Deployment"));
const agentPod = (objects: Objects) => agentOf(objects).spec.template.spec;
const scalerLabels = {
  "app.kubernetes.io/name": "keda-gpu-scaler",
  "app.kubernetes.io/component": "scaler",
};

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

describe("network policies", () => {
  const scaler = { namespace: "gpu-scaling", labels: scalerLabels };
  const policies = (objects: Objects) => ofKind(objects, "NetworkPolicy").length;

  test("let KEDA in from its usual namespace and from beside the scaler", () => {
    for (const kedaNamespace of ["keda", "gpu-scaling"]) expectWalls(render(), { kedaNamespace });
  });

  test("let KEDA in from one namespace once it is named, by the labels it has there", () => {
    const objects = render(
      ...sets("networkPolicy.kedaNamespace=scaling", "networkPolicy.kedaPodLabels.team=core"),
    );
    const labels = { app: "keda-operator", team: "core" };
    expect(allows(objects, { namespace: "scaling", labels }, scaler, 6000)).toBe(true);
    expect(allows(objects, { namespace: "keda", labels }, scaler, 6000)).toBe(false);
    const unlabelled = { namespace: "scaling", labels: { app: "keda-operator" } };
    expect(allows(objects, unlabelled, scaler, 6000)).toBe(false);
  });

  test("let in who reads metrics, and helm test", async () => {
    const objects = await renderBlock("options");
    expectWalls(objects, { kedaNamespace: "keda", metrics: [prometheus] });
    const { metadata } = only(ofKind(objects, "Pod"));
    const pod = { namespace: metadata.namespace ?? "", labels: metadata.labels ?? {} };
    expect(allows(objects, pod, scaler, 6000)).toBe(true);
  });

  test("know the API server's port by default, and its address once it is said", () => {
    for (const port of [443, 6443, 8443, 16_443])
      expect(allows(render(), scaler, apiServer, port)).toBe(true);
    const objects = render(
      ...sets(
        "networkPolicy.apiServerCidrs={192.0.2.10/32}",
        "networkPolicy.apiServerPorts={6443}",
      ),
    );
    const allowed = (address: string, port: number) => allows(objects, scaler, { address }, port);
    expect(allowed("192.0.2.10", 6443)).toBe(true);
    expect(allowed("192.0.2.10", 443)).toBe(false);
    expect(allowed("192.0.2.11", 6443)).toBe(false);
  });

  test("keep engines to the namespaces that are named", () => {
    const team = "networkPolicy.enginesTo[0].namespaceSelector.matchLabels";
    const objects = render(...sets(`${team}.kubernetes\\.io/metadata\\.name=team-a`));
    const engine = (namespace: string) => ({ namespace, labels: { app: "vllm" } });
    expect(allows(objects, scaler, engine("team-a"), 8000)).toBe(true);
    expect(allows(objects, scaler, engine("team-b"), 8000)).toBe(false);
  });

  test("let the scaler out to hosts outside, and to DNS, once there are such hosts", async () => {
    const resolver = { address: "169.254.20.10" };
    expect(allows(render(), scaler, resolver, 53, "UDP")).toBe(false);
    const objects = await renderBlock("outside");
    for (const protocol of ["UDP", "TCP"] as const)
      expect(allows(objects, scaler, resolver, 53, protocol)).toBe(true);
    expect(allows(objects, scaler, { address: "203.0.113.7" }, 8000)).toBe(true);
    expect(allows(objects, scaler, { address: "203.0.113.8" }, 8000)).toBe(false);
  });

  test("can be left to somebody else", () => {
    expect(policies(render())).toBe(2);
    expect(policies(render(...sets("networkPolicy.enabled=false")))).toBe(0);
  });
});

test("profiles reach the scaler", () => {
  const profile = "profiles.chat.metric=queue_depth,profiles.chat.target=2000000";
  const hosts = "allowEndpoints={*.llm.example.com,10.0.0.7:8000}";
  const objects = render(...sets(profile, hosts));
  expectConsistent(objects);
  const text = only(ofKind(objects, "ConfigMap")).data["profiles.yaml"] ?? "";
  expect(parseProfiles(text).table?.get("chat")?.target).toBe(2_000_000);
  const { args = [], volumeMounts = [] } = containerOf(scalerOf(objects));
  const path = args.find((arg) => arg.startsWith("--profiles="))?.replace("--profiles=", "");
  const mount = only(volumeMounts.filter(({ name }) => name === "profiles"));
  expect(path).toBe(`${mount.mountPath}/profiles.yaml`);
  expect(args).toContain("--allow-endpoint=*.llm.example.com,10.0.0.7:8000");
  // Nobody else is told: an agent answers nothing.
  expect(containerOf(agentOf(objects)).args?.join(" ")).not.toMatch(/profiles|allow-endpoint/);
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
  const chat = "profiles.chat.target=5,profiles.chat.";

  test.each([
    ["an unknown value", ["replicaCount=2"], "'replicaCount' not allowed"],
    ["an unknown value inside", ["scaler.replicaCount=2"], "'replicaCount' not allowed"],
    ["a misspelt toleration", ["tolerations[0].keys=x"], "'keys' not allowed"],
    ["a mode, of which there is one", ["mode=daemonset"], "'mode' not allowed"],
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
    ["a profile by a built-in name", ["profiles.batch.metric=queue_depth"], "batch"],
    ["a profile that asks without a series", [`${chat}metric=engine_metric`], "engineMetric"],
    [
      "a series that nothing asks for",
      [`${chat}metric=queue_depth`, `${chat}engineMetric=x`],
      "/profiles/chat",
    ],
    [
      "a way to join series that are not named",
      [`${chat}metric=queue_depth`, `${chat}engineReduce=sum`],
      "engineReduce",
    ],
    [
      "a page of which nothing is asked",
      [`${chat}metric=queue_depth`, `${chat}engine=prometheus`],
      "/profiles/chat/engine",
    ],
    ["a namespace of tokens by a bad name", ["engineTokens.Team=a"], "Team"],
    ["tokens in no Secret", ["engineTokens.team-a="], "/engineTokens/team-a"],
    ["a priority class by a bad name", ["agent.priorityClassName=High"], "/agent/priorityClass"],
    ["a peer that is nobody", ["networkPolicy.metricsFrom[0].pods=x"], "'pods' not allowed"],
    ["no engines", ["networkPolicy.enginesTo=null"], "missing property 'enginesTo'"],
    ["no port of the API server", ["networkPolicy.apiServerPorts={}"], "/networkPolicy/apiServer"],
    ["KEDA without a label", ["networkPolicy.kedaPodLabels.app=null"], "/networkPolicy/kedaPod"],
    ["monitors of what may not be read", ["serviceMonitor.enabled=true"], "set networkPolicy.metr"],
    [
      "a quota for no class",
      ["priorityQuota.enabled=true", "agent.priorityClassName=", "scaler.priorityClassName="],
      "set priorityQuota.enabled=false",
    ],
    ["a flag that the chart sets", ["scaler.extraArgs={--port=1}"], "scaler.extraArgs has --port"],
    ["a flag twice", ["agent.extraArgs={--node-name=a,--node-name=b}"], "has --node-name"],
  ])("%s", (_what, pairs, reason) => {
    expect(() => render(...sets(...pairs))).toThrow(reason);
  });
});

/** Each value beside the flag that it becomes: whatever the program refuses, the chart refuses. */
describe("the program's own rules", () => {
  const { flags } = commands.serve;
  test.each([
    [
      "sampleInterval",
      "sample-interval",
      ["99ms", "100ms", "0.1s", "1m", "60.1s", "1h", "1d", "1"],
    ],
    [
      "agent.deviceWatchdog",
      "device-watchdog",
      ["999ms", "1s", "0.5m", "1h", "61m", "1.5h", "1 s"],
    ],
    ["bindAddress", "bind", ["0.0.0.0", "::", "fd00::1", "1.2.3", "999.0.0.1", ":::", "a.b"]],
    ["log.level", "log-level", ["debug", "trace"]],
    ["log.format", "log-format", ["text", "xml"]],
    ["collector", "collector", ["nvml", "magic"]],
    [
      "allowEndpoints[0]",
      "allow-endpoint",
      [
        "a.example",
        "*.a",
        "a:8000",
        "a:*",
        "[fd00::1]:80",
        "fd00::1",
        "a b",
        "-a",
        "a:x",
        "*",
        "a*",
      ],
    ],
  ] as const)("%s", (value, flag, texts) => {
    for (const text of texts) {
      const rendered = () => render("--set-string", `${value}=${text}`);
      if (flags[flag].parse(text) === undefined) expect(rendered).toThrow(/schema|Cannot render/);
      else expect(rendered).not.toThrow();
    }
  });
});
