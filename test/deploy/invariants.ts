/**
 * What must hold for our own objects however the chart is rendered.
 *
 * @module
 */
import { expect } from "bun:test";
import { type Kind, type ObjectOf, ofKind, only, type parseObjects } from "./kinds.ts";
import type { PodSpec } from "./pod-schema.ts";

type Objects = ReturnType<typeof parseObjects>;
type Labels = Readonly<Record<string, string>>;
type Workload = ObjectOf<"DaemonSet"> | ObjectOf<"Deployment">;

const selects = (selector: Labels | undefined, labels: Labels) =>
  Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);

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
}

/** Every namespaced object names the namespace, so that no context of kubectl can misplace it. */
export function expectNamespace(objects: Objects, namespace: string): void {
  const clusterWide: readonly Kind[] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "SecurityContextConstraints",
  ];
  for (const { kind, metadata } of objects)
    expect(metadata.namespace).toBe(clusterWide.includes(kind) ? undefined : namespace);
}

/** The scaler's rights, all of them: it reads what it must know and changes nothing. */
export function expectLeastRights(objects: Objects): void {
  const reads = ["get", "list", "watch"] as const;
  expect(only(ofKind(objects, "ClusterRole")).rules).toEqual([
    { apiGroups: ["keda.sh"], resources: ["scaledobjects", "scaledjobs"], verbs: [...reads] },
    { apiGroups: ["*"], resources: ["*/scale"], verbs: ["get"] },
    { apiGroups: [""], resources: ["pods"], verbs: [...reads] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: [...reads] },
  ]);
  expect(only(ofKind(objects, "ClusterRoleBinding")).subjects.map(({ name }) => name)).toEqual([
    "keda-gpu-scaler",
  ]);
  for (const { automountServiceAccountToken } of ofKind(objects, "ServiceAccount"))
    expect(automountServiceAccountToken).toBe(false);
}

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
}

/** Uid 0 for the kubelet's socket, and not one right more. */
export function expectUnprivilegedRoot(spec: PodSpec): void {
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
