import { describe, expect, test } from "bun:test";
import {
  documentsSha256,
  inputsSha256,
  manifestsPath,
  parseManifests,
  registryPlaceholder,
} from "../../tools/render-manifests.ts";
import {
  containerOf,
  expectConsistent,
  expectLeastRights,
  expectNamespace,
  expectNoTokenBesideGpus,
  expectRestricted,
  expectUnprivilegedRoot,
  expectWalls,
} from "./invariants.ts";
import { ofKind, only, parseObjects } from "./kinds.ts";

const text = await Bun.file(manifestsPath).text();
const objects = parseObjects(text);
const daemonSet = only(ofKind(objects, "DaemonSet"));
const deployment = only(ofKind(objects, "Deployment"));

describe("deploy/manifests.yaml is current", () => {
  test("it was rendered from the chart as it is now", async () => {
    expect(parseManifests(text).inputsSha256).toBe(await inputsSha256());
  });

  test("nobody changed it by hand", () => {
    const { documents, documentsSha256: recorded } = parseManifests(text);
    expect(recorded).toBe(documentsSha256(documents));
  });

  test("a changed word, and a header without digests, are noticed", () => {
    const changed = parseManifests(text.replace("replicas: 2", "replicas: 1"));
    expect(changed.documentsSha256).not.toBe(documentsSha256(changed.documents));
    expect(() => parseManifests("apiVersion: v1\n")).toThrow("its header has no digests");
  });
});

describe("deploy/manifests.yaml", () => {
  test("holds one installation in the namespace keda, and not the namespace", () => {
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted()).toEqual([
      "ClusterRole keda-gpu-scaler:keda",
      "ClusterRoleBinding keda-gpu-scaler:keda",
      "DaemonSet keda-gpu-scaler-agent",
      "Deployment keda-gpu-scaler",
      "NetworkPolicy keda-gpu-scaler",
      "NetworkPolicy keda-gpu-scaler-agent",
      "PodDisruptionBudget keda-gpu-scaler",
      "Service keda-gpu-scaler",
      "Service keda-gpu-scaler-agent",
      "ServiceAccount keda-gpu-scaler",
      "ServiceAccount keda-gpu-scaler-agent",
      "ValidatingAdmissionPolicy keda-gpu-scaler.keda",
      "ValidatingAdmissionPolicyBinding keda-gpu-scaler.keda",
    ]);
    expectNamespace(objects, "keda");
  });

  test("its image is named but for the registry, which its header says to fill in", () => {
    expect(text).toContain(`sed 's|${registryPlaceholder}|REGISTRY|'`);
    for (const workload of [daemonSet, deployment])
      expect(containerOf(workload).image).toStartWith(`${registryPlaceholder}/keda-gpu-scaler:`);
  });

  test("its names refer to each other", () => expectConsistent(objects));

  test("the Service answers at the address that ScaledObjects name", () => {
    const services = ofKind(objects, "Service");
    const scaler = only(services.filter(({ metadata }) => metadata.name === "keda-gpu-scaler"));
    expect(scaler.spec.ports.map(({ name, port }) => [name, port])).toEqual([
      ["grpc", 6000],
      ["http", 9090],
    ]);
    const agents = only(services.filter(({ spec }) => spec.clusterIP === "None"));
    expect(agents.spec.ports.map(({ name }) => name)).toContain("grpc");
    expect(containerOf(deployment).args).toContain(`--agent-service=${agents.metadata.name}`);
  });

  test("the scaler reads four kinds of object and changes none; the agent has no rights", () => {
    expectLeastRights(objects);
    expect(deployment.spec.template.spec.automountServiceAccountToken).toBe(true);
  });

  test("no token lies on a GPU node", () => expectNoTokenBesideGpus(objects));

  test("only KEDA reaches the scaler, only the scaler the agents, and agents nobody", () =>
    expectWalls(objects, { kedaNamespace: "keda" }));

  test("both roles outlive ordinary pods, and a scaler that is not Ready holds up no drain", () => {
    expect(daemonSet.spec.template.spec.priorityClassName).toBe("system-node-critical");
    expect(deployment.spec.template.spec.priorityClassName).toBe("system-cluster-critical");
    const { spec } = only(ofKind(objects, "PodDisruptionBudget"));
    expect(spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  });

  test("the scaler is restricted, twice there, and spread over hosts", () => {
    const { spec } = deployment.spec.template;
    expectRestricted(spec);
    expect(deployment.spec.replicas).toBe(2);
    expect(spec.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey)).toEqual([
      "kubernetes.io/hostname",
    ]);
  });

  test("the agent is root without a right, and sees all GPUs without requesting one", () => {
    const { spec } = daemonSet.spec.template;
    expectUnprivilegedRoot(spec);
    expect(spec.nodeSelector).toEqual({ "nvidia.com/gpu.present": "true" });
    const { env, resources } = containerOf(daemonSet);
    expect(env).toContainEqual({ name: "NVIDIA_VISIBLE_DEVICES", value: "all" });
    expect(env).toContainEqual({ name: "NVIDIA_DRIVER_CAPABILITIES", value: "utility" });
    expect(env).toContainEqual({
      name: "NODE_NAME",
      valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } },
    });
    expect(Object.keys(resources?.limits ?? {})).toEqual(["memory"]);
  });
});

test("a misspelt field is refused", () => {
  const misspelt = text.replace("runtimeClassName:", "runtimeClasName:");
  expect(() => parseObjects(misspelt)).toThrow("runtimeClasName");
});
