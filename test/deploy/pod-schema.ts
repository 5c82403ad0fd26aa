/**
 * The fields of a pod that our manifests and examples use, and no other: a misspelt field is
 * dropped in silence by an API server that does not validate strictly, so it must fail here.
 *
 * @module
 */
import * as v from "valibot";

export const dnsName = v.pipe(
  v.string(),
  v.maxLength(63),
  v.regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/),
);
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const atLeastOne = v.pipe(count, v.minValue(1));
const quantity = v.pipe(v.string(), v.regex(/^\d+(\.\d+)?(m|[KMGT]i?)?$/));
const absolutePath = v.pipe(v.string(), v.startsWith("/"));

const labelKey = v.pipe(
  v.string(),
  v.regex(/^([a-z0-9]([-.a-z0-9]*[a-z0-9])?\/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/),
);
const labelValue = v.pipe(
  v.string(),
  v.maxLength(63),
  v.regex(/^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$/),
);
/** Values are strings in the API: `true` without quotes is refused there, and here. */
export const labels = v.record(labelKey, labelValue);

export const metadata = v.strictObject({
  // RBAC allows more characters than other kinds do.
  name: v.pipe(v.string(), v.regex(/^[a-z0-9]([-.:a-z0-9]*[a-z0-9])?$/)),
  namespace: v.optional(dnsName),
  labels: v.optional(labels),
  annotations: v.optional(v.record(labelKey, v.string())),
});

const expression = v.strictObject({
  key: labelKey,
  operator: v.picklist(["In", "NotIn", "Exists", "DoesNotExist"]),
  values: v.optional(v.array(v.string())),
});
export const labelSelector = v.strictObject({
  matchLabels: v.optional(labels),
  matchExpressions: v.optional(v.array(expression)),
});

export const port = v.union([v.pipe(count, v.minValue(1), v.maxValue(65_535)), dnsName]);
const probe = v.strictObject({
  httpGet: v.strictObject({ path: absolutePath, port }),
  periodSeconds: v.optional(atLeastOne),
  timeoutSeconds: v.optional(atLeastOne),
  failureThreshold: v.optional(atLeastOne),
});
const seccompProfile = v.strictObject({ type: v.literal("RuntimeDefault") });

const environment = v.variant("name", [
  v.strictObject({
    name: v.picklist(["NODE_NAME", "NODE_IP"]),
    valueFrom: v.strictObject({ fieldRef: v.strictObject({ fieldPath: v.string() }) }),
  }),
  v.strictObject({ name: v.pipe(v.string(), v.regex(/^[A-Z_]+$/)), value: v.string() }),
]);

const container = v.strictObject({
  name: dnsName,
  image: v.pipe(v.string(), v.regex(/^[a-z0-9][^\s:@]*(:[\w.-]+|@sha256:[0-9a-f]{64})$/)),
  imagePullPolicy: v.optional(v.picklist(["Always", "IfNotPresent", "Never"])),
  args: v.optional(v.array(v.string())),
  env: v.optional(v.array(environment)),
  ports: v.optional(v.array(v.strictObject({ name: dnsName, containerPort: count }))),
  startupProbe: v.optional(probe),
  livenessProbe: v.optional(probe),
  readinessProbe: v.optional(probe),
  resources: v.optional(
    v.strictObject({
      requests: v.optional(v.record(labelKey, quantity)),
      limits: v.optional(v.record(labelKey, quantity)),
    }),
  ),
  securityContext: v.optional(
    v.strictObject({
      allowPrivilegeEscalation: v.optional(v.boolean()),
      privileged: v.optional(v.boolean()),
      readOnlyRootFilesystem: v.optional(v.boolean()),
      capabilities: v.optional(v.strictObject({ drop: v.array(v.string()) })),
    }),
  ),
  volumeMounts: v.optional(
    v.array(
      v.strictObject({ name: dnsName, mountPath: absolutePath, readOnly: v.optional(v.boolean()) }),
    ),
  ),
});

const toleration = v.strictObject({
  key: labelKey,
  operator: v.picklist(["Exists", "Equal"]),
  value: v.optional(v.string()),
  effect: v.optional(v.picklist(["NoSchedule", "PreferNoSchedule", "NoExecute"])),
});
const volume = v.strictObject({
  name: dnsName,
  hostPath: v.optional(
    v.strictObject({ path: absolutePath, type: v.picklist(["Directory", "CharDevice"]) }),
  ),
  configMap: v.optional(v.strictObject({ name: dnsName })),
  secret: v.optional(v.strictObject({ secretName: dnsName })),
  emptyDir: v.optional(
    v.strictObject({ medium: v.optional(v.literal("Memory")), sizeLimit: v.optional(quantity) }),
  ),
});

export const podSpec = v.strictObject({
  serviceAccountName: v.optional(dnsName),
  automountServiceAccountToken: v.optional(v.boolean()),
  enableServiceLinks: v.optional(v.boolean()),
  runtimeClassName: v.optional(dnsName),
  priorityClassName: v.optional(dnsName),
  hostPID: v.optional(v.literal(true)),
  restartPolicy: v.optional(v.literal("Never")),
  activeDeadlineSeconds: v.optional(atLeastOne),
  imagePullSecrets: v.optional(v.array(v.strictObject({ name: dnsName }))),
  nodeSelector: v.optional(labels),
  affinity: v.optional(
    v.strictObject({
      nodeAffinity: v.strictObject({
        requiredDuringSchedulingIgnoredDuringExecution: v.strictObject({
          nodeSelectorTerms: v.array(v.strictObject({ matchExpressions: v.array(expression) })),
        }),
      }),
    }),
  ),
  tolerations: v.optional(v.array(toleration)),
  topologySpreadConstraints: v.optional(
    v.array(
      v.strictObject({
        maxSkew: atLeastOne,
        topologyKey: labelKey,
        whenUnsatisfiable: v.picklist(["ScheduleAnyway", "DoNotSchedule"]),
        labelSelector,
      }),
    ),
  ),
  terminationGracePeriodSeconds: v.optional(count),
  securityContext: v.optional(
    v.strictObject({
      runAsNonRoot: v.boolean(),
      runAsUser: v.optional(count),
      runAsGroup: v.optional(count),
      seccompProfile,
      seLinuxOptions: v.optional(v.strictObject({ type: v.string() })),
    }),
  ),
  containers: v.tuple([container]),
  volumes: v.optional(v.array(volume)),
});
export type PodSpec = v.InferOutput<typeof podSpec>;

export const podTemplate = v.strictObject({
  metadata: v.strictObject({
    labels,
    annotations: v.optional(v.record(labelKey, v.string())),
  }),
  spec: podSpec,
});
