/**
 * What must hold for our own objects however the chart is rendered.
 *
 * @module
 */
import { expect } from "bun:test";
import { type Kind, type ObjectOf, ofKind, only, type parseObjects } from "./kinds.ts";
import { allows, type Party, type Pod, selects as selectsLabels } from "./network.ts";
import type { PodSpec } from "./pod-schema.ts";

type Objects = ReturnType<typeof parseObjects>;
type Labels = Readonly<Record<string, string>>;
type Workload = ObjectOf<"DaemonSet"> | ObjectOf<"Deployment">;

const selects = (selector: Labels | undefined, labels: Labels) =>
  selectsLabels({ matchLabels: selector ?? {} }, labels);

export function workloadsOf(objects: Objects): readonly Workload[] {
  return [...ofKind(objects, "DaemonSet"), ...ofKind(objects, "Deployment")];
}

export function containerOf(workload: Workload): PodSpec["containers"][0] {
  return workload.spec.template.spec.containers[0];
}

/** Names that refer to each other do. */
export function expectConsistent(objects: Objects): void {
  const workloads = workloadsOf(objects);
  const accounts = ofKind(objects, "ServiceAccount").map(({ metadata }) => metadata.name);
  const podsOf = (selector: Labels | undefined) =>
    workloads.filter(({ spec }) => selects(selector, spec.template.metadata.labels));

  for (const { spec } of workloads) {
    expect(selects(spec.selector.matchLabels, spec.template.metadata.labels)).toBe(true);
    expect(accounts).toContain(spec.template.spec.serviceAccountName ?? "default");
    const [{ volumeMounts = [] }] = spec.template.spec.containers;
    const volumes = (spec.template.spec.volumes ?? []).map(({ name }) => name);
    expect(volumeMounts.map(({ name }) => name).toSorted()).toEqual(volumes.toSorted());
  }
  for (const { spec } of ofKind(objects, "Service")) {
    const behind = containerOf(only(podsOf(spec.selector)));
    const ports = (behind.ports ?? []).map(({ name }) => name);
    for (const { targetPort } of spec.ports) expect(ports).toContain(String(targetPort));
  }
  for (const { spec } of ofKind(objects, "PodDisruptionBudget")) {
    only(podsOf(spec.selector.matchLabels));
  }
  for (const { spec } of ofKind(objects, "NetworkPolicy")) {
    only(podsOf(spec.podSelector.matchLabels));
  }
  for (const { roleRef, subjects } of ofKind(objects, "ClusterRoleBinding")) {
    const roles = ofKind(objects, "ClusterRole").map(({ metadata }) => metadata.name);
    expect(roles).toContain(roleRef.name);
    for (const { name } of subjects) expect(accounts).toContain(name);
  }
  for (const { spec } of ofKind(objects, "ValidatingAdmissionPolicyBinding"))
    expect(spec.policyName).toBe(only(ofKind(objects, "ValidatingAdmissionPolicy")).metadata.name);
}

/** Every namespaced object names the namespace, so that no context of kubectl can misplace it. */
export function expectNamespace(objects: Objects, namespace: string): void {
  const clusterWide: readonly Kind[] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "SecurityContextConstraints",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
  ];
  for (const { kind, metadata } of objects)
    expect(metadata.namespace).toBe(clusterWide.includes(kind) ? undefined : namespace);
}

/** The scaler's rights, all of them: it reads what it must know, and writes events. */
export function expectLeastRights(objects: Objects): void {
  const follows = ["list", "watch"] as const;
  expect(only(ofKind(objects, "ClusterRole")).rules).toEqual([
    { apiGroups: ["keda.sh"], resources: ["scaledobjects", "scaledjobs"], verbs: [...follows] },
    { apiGroups: ["*"], resources: ["*/scale"], verbs: ["get"] },
    { apiGroups: [""], resources: ["pods"], verbs: [...follows] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: [...follows] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  ]);
  expect(only(ofKind(objects, "ClusterRoleBinding")).subjects.map(({ name }) => name)).toEqual([
    "keda-gpu-scaler",
  ]);
  for (const { automountServiceAccountToken } of ofKind(objects, "ServiceAccount"))
    expect(automountServiceAccountToken).toBe(false);
}

/**
 * No token of the Kubernetes API lies on a node that has an agent, and so GPUs and tenants'
 * containers: agents have none, and whoever has one is kept off those nodes.
 */
export function expectNoTokenBesideGpus(objects: Objects): void {
  const agent = only(ofKind(objects, "DaemonSet")).spec.template.spec;
  expect(agent.automountServiceAccountToken).toBe(false);
  const withToken = [
    ...workloadsOf(objects).map(({ spec }) => spec.template),
    ...ofKind(objects, "Pod"),
  ]
    .map(({ spec }) => spec)
    .filter(({ automountServiceAccountToken }) => automountServiceAccountToken !== false);
  expect(withToken).toHaveLength(1);
  for (const spec of withToken)
    for (const labels of labelsOfChosenNodes(agent))
      expect({ labels, chosen: choosesNode(spec, labels) }).toEqual({ labels, chosen: false });
}

/** Labels of nodes that a pod chooses, one set for each alternative. */
function labelsOfChosenNodes({ nodeSelector = {}, affinity }: PodSpec): readonly Labels[] {
  const terms = affinity?.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
    .nodeSelectorTerms ?? [{ matchExpressions: [] }];
  return terms.map(({ matchExpressions }) => ({
    "kubernetes.io/os": "linux",
    ...nodeSelector,
    ...Object.fromEntries(matchExpressions.map(({ key, values }) => [key, values?.[0] ?? "any"])),
  }));
}

function choosesNode({ nodeSelector = {}, affinity }: PodSpec, labels: Labels): boolean {
  const terms =
    affinity?.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms;
  return (
    selects(nodeSelector, labels) &&
    (terms?.some(({ matchExpressions }) => selectsLabels({ matchExpressions }, labels)) ?? true)
  );
}

const tenant: Pod = { namespace: "team-a", labels: { app: "vllm" } };
export const prometheus: Pod = { namespace: "monitoring", labels: { app: "prometheus" } };
const operator = (namespace: string): Pod => ({ namespace, labels: { app: "keda-operator" } });

/** Who reaches whom over the network, both roles; `metrics` says who may read port 9090. */
export function expectWalls(
  objects: Objects,
  { kedaNamespace, metrics = [] }: { kedaNamespace: string; metrics?: readonly Pod[] },
): void {
  const podOf = ({ metadata, spec }: Workload): Pod => ({
    namespace: metadata.namespace ?? "default",
    labels: spec.template.metadata.labels,
  });
  const scaler = podOf(only(ofKind(objects, "Deployment")));
  const agent = podOf(only(ofKind(objects, "DaemonSet")));
  const keda = operator(kedaNamespace);
  const callers: Readonly<Record<string, Party>> = {
    keda,
    scaler,
    agent,
    tenant,
    prometheus,
    // It asks the operator, never a scaler.
    kedaMetrics: { namespace: kedaNamespace, labels: { app: "keda-operator-metrics-apiserver" } },
    // A label proves nothing in another namespace.
    imitator: operator(tenant.namespace),
    imitatedScaler: { ...scaler, namespace: tenant.namespace },
    outside: { address: "203.0.113.7" },
  };
  const reaching = (to: Party, port: number) =>
    Object.keys(callers).filter((name) => allows(objects, callers[name] ?? tenant, to, port));
  expect(reaching(scaler, 6000)).toEqual(["keda"]);
  expect(reaching(agent, 6000)).toEqual(["scaler"]);
  const readers = Object.keys(callers).filter((name) =>
    metrics.some((one) => one === callers[name]),
  );
  expect(reaching(scaler, 9090)).toEqual(readers);
  expect(reaching(agent, 9090)).toEqual(readers);
  for (const port of [10250, 22])
    expect([...reaching(scaler, port), ...reaching(agent, port)]).toEqual([]);

  // An agent calls nobody.
  for (const to of [keda, scaler, tenant, apiServer, metadataService])
    for (const port of [53, 80, 443, 6000, 6443])
      expect(allows(objects, agent, to, port)).toBe(false);
  // A scaler calls the API server, agents, and engines, which are pods.
  expect(allows(objects, scaler, apiServer, 6443)).toBe(true);
  expect(allows(objects, scaler, tenant, 8000)).toBe(true);
  expect(allows(objects, scaler, metadataService, 80)).toBe(false);
  expect(allows(objects, scaler, node, 10_250)).toBe(false);
}
export const apiServer: Party = { address: "192.0.2.10" };
const node: Party = { address: "192.0.2.20" };
const metadataService: Party = { address: "169.254.169.254" };

/** Pod Security Standard `restricted`, field by field. */
export function expectRestricted(spec: PodSpec): void {
  const [{ securityContext }] = spec.containers;
  expect(spec.securityContext).toMatchObject({
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
  });
  expect(spec.securityContext?.runAsUser).not.toBe(0);
  expect(securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  for (const volume of spec.volumes ?? []) expect(volume.hostPath).toBeUndefined();
  expect(spec.hostPID).toBeUndefined();
}

/** Uid 0 for the kubelet's socket, and not one right more. */
export function expectUnprivilegedRoot(spec: PodSpec): void {
  expect(spec.hostPID).toBeUndefined();
  const [{ securityContext, volumeMounts }] = spec.containers;
  expect(spec.securityContext).toMatchObject({
    runAsUser: 0,
    seccompProfile: { type: "RuntimeDefault" },
  });
  expect(securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  for (const { readOnly } of volumeMounts ?? []) expect(readOnly).toBe(true);
  expect(spec.volumes?.find(({ name }) => name === "pod-resources")?.hostPath).toMatchObject({
    type: "Directory",
  });
}
