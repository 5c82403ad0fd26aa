/**
 * Objects of the Kubernetes API: what tenants may write, held to a schema by the API server.
 *
 * @module
 */
import { addressesOf, uniqueEndpoints } from "#kubernetes/endpoint-slices.ts";
import { matchesLabels, parseSelector, selectorLike } from "#kubernetes/label-selector.ts";
import { quantityOf } from "#kubernetes/quantity.ts";
import { podOf } from "#workload/pod.ts";
import { fittingTriggers, namesService, scaledOf } from "#workload/scaled.ts";
import { podObject } from "../../fake-kubernetes/objects.ts";
import { exampleObjects, jsonBytes } from "../corpus.ts";
import { mutateText } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";
import { promise, promiseEqual, type Target } from "../target.ts";

const words = [
  "external",
  "external-push",
  "cron",
  "Value",
  "AverageValue",
  "Deployment",
  "StatefulSet",
  "apps/v1",
  "v1",
  "a/b/c",
  "keda-gpu-scaler.keda-gpu-scaler.svc.cluster.local:6000",
  "gpu.keda:6000",
  "50m",
  "0.2",
  "Running",
  "Pending",
  "Failed",
  "Ready",
  "True",
  "False",
  "Unknown",
  "nvidia.com/gpu",
  "2026-11-24T10:00:00Z",
  "ReplicaSet",
  "Always",
] as const;

const scaledObjects = exampleObjects().filter(
  (object): object is { kind: "ScaledObject" | "ScaledJob"; metadata: object } =>
    ["ScaledObject", "ScaledJob"].includes((object as { kind: string }).kind),
);

export const scaledTarget: Target = {
  name: "scaled-object",
  testInputs: 2_400,
  share: 100_000,
  corpus: () =>
    scaledObjects.map(({ metadata, ...rest }) =>
      jsonBytes({
        ...rest,
        metadata: { namespace: "team", ...metadata },
        status: {
          scaleTargetGVKR: {
            group: "apps",
            version: "v1",
            kind: "Deployment",
            resource: "deployments",
          },
        },
      }),
    ),
  mutate: mutateJson(words, true),
  run: (input) => {
    const object = valid(JSON.parse(input.toString()), ["metadata", "spec"]);
    if (object === undefined) return "refused by the API server";
    const scaled = scaledOf(object["kind"] === "ScaledJob" ? "ScaledJob" : "ScaledObject", object);
    if (scaled === undefined) return "no external trigger";
    const { triggers, otherTypes, tolerances, target, minReplicas, maxReplicas } = scaled;
    promise(triggers.length > 0, () => "an external trigger");
    promise(!Number.isNaN(minReplicas + maxReplicas), () => "replicas are numbers");
    promise(tolerances.up >= 0 || tolerances.up < 0, () => `a tolerance: ${tolerances.up}`);
    for (const trigger of triggers) {
      const fitting = fittingTriggers(triggers, trigger.metadata);
      const own = Object.keys(trigger.metadata).some((key) => key.endsWith("FromEnv"));
      promise(own || fitting.includes(trigger), () => "a trigger's own metadata is of it");
      namesService(trigger, ["keda-gpu-scaler.keda-gpu-scaler"]);
    }
    return `${scaled.kind} ${triggers.map(({ type, metricType }) => [type, metricType])} ${otherTypes.length > 0} ${target?.resource} ${tolerances.up === tolerances.down}`;
  },
};

export const podTarget: Target = {
  name: "pod",
  testInputs: 2_400,
  share: 100_000,
  corpus: () => [
    jsonBytes(podObject({ name: "a" })),
    jsonBytes(podObject({ name: "b", labels: { app: "llm" } })),
    jsonBytes({
      metadata: {
        name: "c",
        namespace: "team",
        uid: "u",
        creationTimestamp: "2026-11-24T10:00:00Z",
        deletionTimestamp: "2026-11-24T11:00:00Z",
        ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", controller: true }],
        annotations: { "controller.kubernetes.io/pod-deletion-cost": "-5" },
      },
      spec: {
        nodeName: "node-a",
        hostNetwork: false,
        containers: [
          {
            name: "main",
            ports: [{ name: "http", containerPort: 8000 }],
            resources: { limits: { "nvidia.com/gpu": "1" } },
          },
        ],
        initContainers: [{ name: "proxy", restartPolicy: "Always" }],
        resourceClaims: [{ name: "gpu" }],
      },
      status: {
        phase: "Running",
        podIP: "10.0.0.1",
        hostIP: "10.1.0.1",
        startTime: "2026-11-24T10:00:01Z",
        conditions: [
          { type: "Ready", status: "False", lastTransitionTime: "2026-11-24T10:00:10Z" },
        ],
        containerStatuses: [{ name: "main", ready: true }],
      },
    }),
  ],
  mutate: mutateJson(words, true),
  run: (input) => {
    const object = valid(JSON.parse(input.toString()), ["metadata"]);
    if (object === undefined) return "refused by the API server";
    const pod = podOf(object);
    if (pod === undefined) return "over";
    const { state, ready, readyAfterMs, containers, requestsDevice, ip, onHostNetwork } = pod;
    promise(["counted", "warming", "ending"].includes(state), () => state);
    promise(readyAfterMs === undefined || readyAfterMs >= 0, () => `ready after ${readyAfterMs}`);
    promise(readyAfterMs === undefined || ready, () => "who is not ready has no time of it");
    matchesLabels([{ key: "app", operator: "In", values: ["llm"] }], pod.labels);
    return `${state} ${ready} ${readyAfterMs === undefined} ${containers.map((one) => one.ready)} ${requestsDevice} ${ip === undefined} ${onHostNetwork} ${pod.inReplicaSet} ${pod.deletionCost?.isOwn}`;
  },
};

type Members = Readonly<Record<string, unknown>>;

/** What the API server takes care of, as far as dropped members break it: names and these parts. */
function valid(object: Members, required: readonly string[]): Members | undefined {
  const lists = JSON.stringify(object).match(/"(triggers|containers|conditions|ports)":\[[^\]]/g);
  const isWhole = required.every((key) => isMembers(object[key]));
  const { name, namespace } = (object["metadata"] ?? {}) as Members;
  const named = [name, namespace].every((text) => typeof text === "string" && text !== "");
  if (!isWhole || !named) return undefined;
  return lists === null || everyItemIsNamed(object) ? object : undefined;
}

/** Items of lists have the field by which Kubernetes tells them apart. */
function everyItemIsNamed(object: Members): boolean {
  return Object.entries(object).every(([key, value]) => {
    if (Array.isArray(value)) {
      const id = itemKeys[key];
      return value.every(
        (item) =>
          !isMembers(item) ||
          ((id === undefined || typeof item[id] === "string" || typeof item[id] === "number") &&
            everyItemIsNamed(item)),
      );
    }
    return !isMembers(value) || everyItemIsNamed(value);
  });
}
const itemKeys: Readonly<Record<string, string>> = {
  triggers: "type",
  containers: "name",
  initContainers: "name",
  conditions: "type",
  containerStatuses: "name",
  initContainerStatuses: "name",
  ports: "containerPort",
  ownerReferences: "kind",
};

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const sliceTarget: Target = {
  name: "endpoint-slice",
  testInputs: 1_800,
  share: 60_000,
  corpus: () => [
    jsonBytes({
      addressType: "IPv4",
      ports: [{ name: "grpc", port: 6000, protocol: "TCP" }],
      endpoints: [
        {
          addresses: ["10.0.0.1", "10.0.0.2"],
          nodeName: "node-a",
          targetRef: { kind: "Pod", namespace: "team", name: "a" },
          conditions: { ready: true, serving: true, terminating: false },
        },
        { addresses: ["10.0.0.3"], targetRef: { kind: "Pod", namespace: "other", name: "b" } },
        { addresses: ["10.0.0.1"], conditions: { ready: false } },
      ],
    }),
  ],
  mutate: mutateJson(["team", "other", "Pod", "Node", "10.0.0.9", "fd00::1", "TCP", "UDP"], true),
  run: (input) => {
    const addresses = addressesOf(JSON.parse(input.toString()), "team");
    const endpoints = addresses.map(({ address, serving }) => ({
      address,
      port: 1,
      ready: serving,
    }));
    const unique = uniqueEndpoints(endpoints);
    const texts = unique.map(({ address }) => address);
    promise(new Set(texts).size === texts.length, () => `each address once: ${texts}`);
    promiseEqual(texts, texts.toSorted(), "sorted");
    for (const { isPod, isForeign } of addresses)
      promise(!(isPod && isForeign), () => "an endpoint is of this namespace or another");
    return addresses
      .map(({ isPod, isForeign, serving }) => `${isPod}${isForeign}${serving}`)
      .join();
  },
};

const selectors = [
  "app=llm,tier!=test,zone in (a,b),!canary,gen>3",
  "example.com/app notin (a, ,b)",
  "a==b",
  "a<9223372036854775807",
  "a",
];
const labels = { app: "llm", tier: "web", zone: "a", gen: "4", a: "b" };

export const selectorTarget: Target = {
  name: "label-selector",
  testInputs: 3_600,
  share: 150_000,
  corpus: () => selectors.map((text) => Buffer.from(text)),
  mutate: mutateText([
    ...selectors,
    " in ",
    " notin ",
    "(",
    ")",
    ",",
    "!",
    "=",
    "==",
    "!=",
    ">",
    "x/",
  ]),
  run: (input) => {
    const text = input.subarray(0, 4_096).toString();
    const parsed = parseSelector(text);
    if (!("requirements" in parsed)) {
      promise(parsed.problem.startsWith("must be "), () => parsed.problem);
      return "refused";
    }
    const { requirements } = parsed;
    if (requirements.length > 0)
      promise(selectorLike.test(text), () => `the pattern takes what is taken: ${text}`);
    const again = parseSelector(requirements.map(printedRequirement).join(","));
    promiseEqual(again, parsed, "a selector that is printed and parsed again");
    const isMatch = matchesLabels(requirements, labels);
    return `${isMatch} ${[...new Set(requirements.map(({ operator }) => operator))].toSorted()}`;
  },
};

function printedRequirement({
  key,
  operator,
  values,
}: {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}): string {
  if (operator === "Exists") return key;
  if (operator === "DoesNotExist") return `!${key}`;
  if (operator === "Gt" || operator === "Lt")
    return `${key}${operator === "Gt" ? ">" : "<"}${values}`;
  return `${key} ${operator === "In" ? "in" : "notin"} (${values})`;
}

export const quantityTarget: Target = {
  name: "quantity",
  testInputs: 6_000,
  share: 150_000,
  corpus: () => ["0.05", "50m", "5e-2", "1k", "+.5", "1.", "100n"].map((text) => Buffer.from(text)),
  mutate: mutateText(["m", "k", "n", "u", "e", "E", "-", "+", ".", "Ki", "1"]),
  run: (input) => {
    const text = input.toString();
    const value = quantityOf(text);
    promise(!Number.isNaN(value), () => `${text} is ${value}`);
    return `${value === undefined ? "none" : Math.sign(value)} ${/[a-z]$/i.exec(text)?.[0]}`;
  },
};
