/**
 * Every kind that the manifests, the chart and the examples use, with the fields that they use.
 *
 * Sources: the Kubernetes API reference 1.34, KEDA's CRDs 2.21, the Prometheus operator's and
 * OpenShift's API references.
 *
 * @module
 */
import * as v from "valibot";
import {
  dnsName,
  labelSelector,
  labels,
  metadata,
  podSpec,
  podTemplate,
  port,
} from "./pod-schema.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const share = v.union([count, v.pipe(v.string(), v.regex(/^\d+%$/))]);
const rollingUpdate = v.strictObject({
  maxUnavailable: v.optional(share),
  maxSurge: v.optional(share),
});

const workloadSpec = { selector: labelSelector, template: podTemplate };
const subject = v.strictObject({
  kind: v.literal("ServiceAccount"),
  name: dnsName,
  namespace: dnsName,
});
const verbs = v.array(v.picklist(["get", "list", "watch", "create", "patch"]));
const rule = v.strictObject({
  apiGroups: v.array(v.string()),
  resources: v.array(v.string()),
  verbs,
});

const namedExpression = v.strictObject({ name: v.string(), expression: v.string() });

const base64 = v.pipe(v.string(), v.base64());
const cidr = v.pipe(v.string(), v.regex(/^[\da-fA-F.:]+\/\d+$/));
const peer = v.strictObject({
  namespaceSelector: v.optional(labelSelector),
  podSelector: v.optional(labelSelector),
  ipBlock: v.optional(v.strictObject({ cidr, except: v.optional(v.array(cidr)) })),
});
const policyPort = v.strictObject({
  protocol: v.picklist(["TCP", "UDP"]),
  port: v.optional(v.pipe(count, v.minValue(1), v.maxValue(65_535))),
});
// An empty list of peers means everybody, so it is never written by accident.
const peers = v.pipe(v.array(peer), v.minLength(1));
const policyPorts = v.pipe(v.array(policyPort), v.minLength(1));
export type PolicyPeer = v.InferOutput<typeof peer>;

export const alertRule = v.strictObject({
  alert: v.pipe(v.string(), v.regex(/^GpuScaler[A-Z][A-Za-z]+$/)),
  expr: v.string(),
  for: v.pipe(v.string(), v.regex(/^\d+[mh]$/)),
  labels: v.strictObject({ severity: v.picklist(["critical", "warning"]) }),
  annotations: v.strictObject({
    summary: v.string(),
    description: v.string(),
    runbook: v.string(),
  }),
});

const scalingPolicy = v.strictObject({
  type: v.picklist(["Pods", "Percent"]),
  value: v.pipe(count, v.minValue(1)),
  periodSeconds: v.pipe(count, v.minValue(1), v.maxValue(1800)),
});
const scalingRules = v.strictObject({
  stabilizationWindowSeconds: v.pipe(count, v.maxValue(3600)),
  selectPolicy: v.optional(v.picklist(["Max", "Min", "Disabled"])),
  policies: v.optional(v.array(scalingPolicy)),
});

/** One trigger of KEDA; `metricType` and `useCachedMetrics` stand beside `metadata`, not in it. */
const trigger = v.strictObject({
  type: v.picklist(["external", "external-push", "cron", "prometheus", "redis"]),
  name: v.optional(v.string()),
  metricType: v.optional(v.picklist(["AverageValue", "Value"])),
  authenticationRef: v.optional(
    v.strictObject({
      name: dnsName,
      kind: v.picklist(["TriggerAuthentication", "ClusterTriggerAuthentication"]),
    }),
  ),
  useCachedMetrics: v.optional(v.boolean()),
  // KEDA takes text alone: a number without quotes is refused.
  metadata: v.record(v.string(), v.string()),
});
export type KedaTrigger = v.InferOutput<typeof trigger>;

const scaledObjectSpec = v.strictObject({
  scaleTargetRef: v.strictObject({
    apiVersion: v.optional(v.string()),
    kind: v.optional(v.string()),
    name: dnsName,
  }),
  pollingInterval: v.optional(v.pipe(count, v.minValue(1))),
  initialCooldownPeriod: v.optional(count),
  cooldownPeriod: v.optional(count),
  minReplicaCount: count,
  maxReplicaCount: v.pipe(count, v.minValue(1)),
  fallback: v.optional(
    v.strictObject({
      failureThreshold: count,
      replicas: count,
      behavior: v.optional(
        v.picklist([
          "static",
          "currentReplicas",
          "currentReplicasIfHigher",
          "currentReplicasIfLower",
          "scalingModifiers",
        ]),
      ),
    }),
  ),
  advanced: v.optional(
    v.strictObject({
      restoreToOriginalReplicaCount: v.optional(v.boolean()),
      horizontalPodAutoscalerConfig: v.strictObject({
        behavior: v.strictObject({ scaleUp: scalingRules, scaleDown: scalingRules }),
      }),
    }),
  ),
  triggers: v.pipe(v.array(trigger), v.minLength(1)),
});

function kind<const Kind extends string, Entries extends v.ObjectEntries>(
  apiVersion: string,
  name: Kind,
  entries: Entries,
) {
  return v.strictObject({
    apiVersion: v.literal(apiVersion),
    kind: v.literal(name),
    metadata,
    ...entries,
  });
}

const object = v.variant("kind", [
  kind("apps/v1", "DaemonSet", {
    spec: v.strictObject({
      ...workloadSpec,
      updateStrategy: v.strictObject({
        type: v.picklist(["RollingUpdate", "OnDelete"]),
        rollingUpdate: v.optional(rollingUpdate),
      }),
    }),
  }),
  kind("apps/v1", "Deployment", {
    spec: v.strictObject({
      ...workloadSpec,
      replicas: v.optional(count),
      progressDeadlineSeconds: v.optional(count),
      strategy: v.strictObject({ type: v.literal("RollingUpdate"), rollingUpdate }),
    }),
  }),
  kind("v1", "Service", {
    spec: v.strictObject({
      type: v.optional(v.literal("ClusterIP")),
      clusterIP: v.optional(v.literal("None")),
      selector: labels,
      ports: v.array(v.strictObject({ name: dnsName, port, targetPort: port })),
    }),
  }),
  kind("v1", "ServiceAccount", { automountServiceAccountToken: v.boolean() }),
  kind("v1", "ConfigMap", { data: v.record(v.string(), v.string()) }),
  kind("v1", "Secret", {
    type: v.literal("kubernetes.io/tls"),
    data: v.strictObject({ "ca.crt": base64, "tls.crt": base64, "tls.key": base64 }),
  }),
  kind("cert-manager.io/v1", "Certificate", {
    spec: v.strictObject({
      secretName: dnsName,
      commonName: v.pipe(v.string(), v.maxLength(64)),
      dnsNames: v.array(v.string()),
      usages: v.array(v.picklist(["server auth", "client auth"])),
      privateKey: v.strictObject({
        algorithm: v.literal("ECDSA"),
        size: v.literal(256),
        rotationPolicy: v.literal("Always"),
      }),
      issuerRef: v.strictObject({
        name: dnsName,
        kind: v.picklist(["Issuer", "ClusterIssuer"]),
        group: v.string(),
      }),
    }),
  }),
  kind("keda.sh/v1alpha1", "ClusterTriggerAuthentication", {
    spec: v.strictObject({
      secretTargetRef: v.array(
        v.strictObject({
          parameter: v.picklist(["caCert", "tlsClientCert", "tlsClientKey"]),
          name: dnsName,
          key: v.string(),
        }),
      ),
    }),
  }),
  kind("v1", "Pod", { spec: podSpec }),
  kind("rbac.authorization.k8s.io/v1", "ClusterRole", { rules: v.array(rule) }),
  kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", {
    roleRef: v.strictObject({
      apiGroup: v.literal("rbac.authorization.k8s.io"),
      kind: v.literal("ClusterRole"),
      name: v.string(),
    }),
    subjects: v.array(subject),
  }),
  kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", {
    spec: v.strictObject({
      failurePolicy: v.picklist(["Ignore", "Fail"]),
      matchConstraints: v.strictObject({
        resourceRules: v.array(
          v.strictObject({
            apiGroups: v.array(v.string()),
            apiVersions: v.array(v.string()),
            operations: v.array(v.picklist(["CREATE", "UPDATE"])),
            resources: v.array(v.string()),
          }),
        ),
      }),
      matchConditions: v.array(namedExpression),
      variables: v.array(namedExpression),
      validations: v.array(
        v.strictObject({
          expression: v.string(),
          messageExpression: v.string(),
          message: v.string(),
        }),
      ),
    }),
  }),
  kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", {
    spec: v.strictObject({
      policyName: v.pipe(v.string(), v.regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/)),
      validationActions: v.array(v.picklist(["Deny", "Warn", "Audit"])),
    }),
  }),
  kind("policy/v1", "PodDisruptionBudget", {
    spec: v.strictObject({
      maxUnavailable: share,
      unhealthyPodEvictionPolicy: v.optional(v.picklist(["IfHealthyBudget", "AlwaysAllow"])),
      selector: labelSelector,
    }),
  }),
  kind("v1", "ResourceQuota", {
    spec: v.strictObject({
      hard: v.strictObject({ pods: v.string() }),
      scopeSelector: v.strictObject({
        matchExpressions: v.array(
          v.strictObject({
            scopeName: v.literal("PriorityClass"),
            operator: v.literal("In"),
            values: v.array(dnsName),
          }),
        ),
      }),
    }),
  }),
  kind("networking.k8s.io/v1", "NetworkPolicy", {
    spec: v.strictObject({
      podSelector: labelSelector,
      policyTypes: v.array(v.picklist(["Ingress", "Egress"])),
      ingress: v.array(v.strictObject({ from: peers, ports: policyPorts })),
      egress: v.optional(v.array(v.strictObject({ to: v.optional(peers), ports: policyPorts }))),
    }),
  }),
  kind("keda.sh/v1alpha1", "ScaledObject", { spec: scaledObjectSpec }),
  kind("monitoring.coreos.com/v1", "ServiceMonitor", {
    spec: v.strictObject({
      selector: labelSelector,
      endpoints: v.array(
        v.strictObject({
          port: dnsName,
          path: v.literal("/metrics"),
          interval: v.string(),
          scrapeTimeout: v.string(),
          honorLabels: v.optional(v.literal(true)),
          relabelings: v.optional(
            v.array(v.strictObject({ sourceLabels: v.array(v.string()), targetLabel: v.string() })),
          ),
        }),
      ),
    }),
  }),
  kind("monitoring.coreos.com/v1", "PrometheusRule", {
    spec: v.strictObject({
      groups: v.array(v.strictObject({ name: v.string(), rules: v.array(alertRule) })),
    }),
  }),
  kind("security.openshift.io/v1", "SecurityContextConstraints", {
    allowPrivilegedContainer: v.boolean(),
    allowPrivilegeEscalation: v.boolean(),
    allowHostDirVolumePlugin: v.boolean(),
    allowHostIPC: v.literal(false),
    allowHostNetwork: v.literal(false),
    allowHostPID: v.boolean(),
    allowHostPorts: v.literal(false),
    allowedCapabilities: v.tuple([]),
    defaultAddCapabilities: v.tuple([]),
    requiredDropCapabilities: v.array(v.string()),
    readOnlyRootFilesystem: v.literal(true),
    fsGroup: v.strictObject({ type: v.string() }),
    runAsUser: v.strictObject({ type: v.string() }),
    seLinuxContext: v.strictObject({ type: v.string() }),
    supplementalGroups: v.strictObject({ type: v.string() }),
    seccompProfiles: v.array(v.string()),
    volumes: v.array(v.string()),
    users: v.array(v.string()),
    groups: v.tuple([]),
  }),
]);
type KubernetesObject = v.InferOutput<typeof object>;
export type Kind = KubernetesObject["kind"];
export type ObjectOf<Name extends Kind> = Extract<KubernetesObject, { kind: Name }>;

/**
 * Reads YAML documents and checks every field.
 *
 * @throws with one line a problem: the document, the path of the field, and what is wrong.
 */
export function parseObjects(yaml: string): readonly KubernetesObject[] {
  const parsed = Bun.YAML.parse(yaml);
  const documents = Array.isArray(parsed) ? parsed : [parsed];
  const problems: string[] = [];
  const objects = documents.flatMap((document, at) => {
    const checked = v.safeParse(object, document);
    if (checked.success) return [checked.output];
    problems.push(
      ...checked.issues.map(
        (issue) => `document ${at + 1}: ${v.getDotPath(issue) ?? ""}: ${issue.message}`,
      ),
    );
    return [];
  });
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return objects;
}

export function ofKind<const Name extends Kind>(
  objects: readonly KubernetesObject[],
  name: Name,
): readonly ObjectOf<Name>[] {
  return objects.filter((each): each is ObjectOf<Name> => each.kind === name);
}

/** @throws when there is not exactly one. */
export function only<T>(found: readonly T[]): T {
  const [one, ...others] = found;
  if (one === undefined || others.length > 0) throw new Error(`Found ${found.length}, not one`);
  return one;
}
