import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { workloadStaleMs } from "#core/limits.ts";
import type { Informer } from "#kubernetes/informer.ts";
import { parseSelector } from "#kubernetes/label-selector.ts";
import { type WorkloadInformers, workloadLister } from "#workload/lister.ts";
import { type Pod, podOf } from "#workload/pod.ts";
import type { Scale } from "#workload/scale.ts";
import { type ScaledResource, scaledOf } from "#workload/scaled.ts";
import { podObject, scaledJob, scaledObject } from "../fake-kubernetes/objects.ts";

const trigger = { metadata: { metricType: "queue_depth" } };
const scaled = scaledOf("ScaledObject", scaledObject({ name: "llm", triggers: [trigger] }));
const job = scaledOf("ScaledJob", scaledJob({ name: "batch", triggers: [trigger] }));

function scaleOf(selector: string, replicas: number): Scale {
  const parsed = parseSelector(selector);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return { selector: parsed.requirements, replicas };
}

function copyOf<Item>(
  items: Readonly<Record<string, Item | undefined>>,
  { ageMs = 0, ...more }: { ageMs?: number; synced?: boolean; failure?: Fault } = {},
): Informer<Item> {
  const { synced = true, failure } = more;
  return {
    items: new Map(Object.entries(items)) as Map<string, Item>,
    synced: () => synced,
    ageMs: () => ageMs,
    failure: () => failure,
    stop: () => {},
  };
}

const podsCopy = (names: readonly string[], options?: Parameters<typeof copyOf>[1]) =>
  copyOf<Pod>(
    Object.fromEntries(
      names.map((name) => [name, podOf(podObject({ name, labels: { app: "llm" } }))]),
    ),
    options,
  );

/** Looks up `llm`, or another, out of these copies. */
function lookUp(some: Partial<WorkloadInformers> = {}, name = "llm", podFilter = {}) {
  return workloadLister({
    scaledObjects: copyOf<ScaledResource>({ "default/llm": scaled }),
    scaledJobs: copyOf<ScaledResource>({ "default/batch": job }),
    pods: new Map([["default", podsCopy(["b", "a"])]]),
    scaleOf: () => scaleOf("app=llm", 3),
    ...some,
  })({ namespace: "default", name, metadata: trigger.metadata, podFilter, generation: 7 });
}

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("workloadLister()", () => {
  test("answers with the pods that the scale selects, sorted by name", () => {
    const { pods, replicas, generation, kind } = lookUp();
    expect(pods.map(({ name }) => name)).toEqual(["a", "b"]);
    expect({ replicas, generation, kind }).toEqual({
      replicas: 3,
      generation: 7,
      kind: "ScaledObject",
    });
  });

  test("counts what is asked for apart from what is there", () => {
    const surging = { replicas: 1, statusReplicas: 2, readyPods: 2 };
    expect(lookUp({ scaleOf: () => scaleOf("app=llm", 1) })).toMatchObject(surging);
    expect(lookUp({ scaleOf: () => scaleOf("app=llm", 0) }).replicas).toBe(2);
    expect(lookUp({ scaleOf: () => scaleOf("app=other", 0) })).toMatchObject({
      pods: [],
      replicas: 0,
    });
  });

  test.each([
    ["Deployment", 1],
    ["StatefulSet", 2],
  ])("counts a pod that is being deleted as the status of a %s does", (kind, statusReplicas) => {
    const target = { kind, name: "llm" };
    const own = scaledOf(
      "ScaledObject",
      scaledObject({ name: "llm", triggers: [trigger], target }),
    );
    const labels = { app: "llm" };
    const pods = copyOf<Pod>({
      a: podOf(podObject({ name: "a", labels })),
      b: podOf(podObject({ name: "b", labels, deleting: true })),
    });
    const some = {
      scaledObjects: copyOf<ScaledResource>({ "default/llm": own }),
      pods: new Map([["default", pods]]),
    };
    expect(lookUp(some)).toMatchObject({
      statusReplicas,
      readyPods: 2,
      drainingPods: 1,
      pods: [{ name: "a" }],
    });
  });

  test("does not take an old count for replicas that are asked for when the last pod has gone", () => {
    const outdated = { ...scaleOf("app=none", 3), isOutdated: true };
    expect(faultOf(() => lookUp({ scaleOf: () => outdated })).code).toBe("workload-syncing");
    expect(lookUp({ scaleOf: () => scaleOf("app=none", 3) })).toMatchObject({
      replicas: 3,
      pods: [],
    });
  });

  test.each([
    ["is", "0 was read after the last change", 0, false, true],
    ["is not", "more was read after it", 3, false, false],
    ["may be", "pods have gone since more was read", 3, true, undefined],
    ["may be", "pods have come or gone since 0 was read", 0, true, undefined],
    ["is not", "there are as many as were read, and others go", 1, true, false],
  ])("%s at zero where %s", (_may, _why, replicas, isOutdated, isAtZero) => {
    const labels = { app: "llm" };
    const pods = copyOf<Pod>({
      a: podOf(podObject({ name: "a", labels })),
      b: podOf(podObject({ name: "b", labels, deleting: true })),
    });
    const own = lookUp({
      pods: new Map([["default", pods]]),
      scaleOf: () => ({ ...scaleOf("app=llm", replicas), isOutdated }),
    });
    expect(own.isAtZero).toBe(isAtZero);
    expect(own.drainingPods).toBe(1);
  });

  test("never takes a ScaledJob for one that is at zero", () => {
    expect(lookUp({}, "batch").isAtZero).toBe(false);
  });

  test("finds the other pods of a LeaderWorkerSet's groups by their labels", () => {
    const labelsOf = (group: number, worker: number) => ({
      app: "llm",
      "leaderworkerset.sigs.k8s.io/name": "llm",
      "leaderworkerset.sigs.k8s.io/group-index": `${group}`,
      "leaderworkerset.sigs.k8s.io/worker-index": `${worker}`,
    });
    const podAt = (group: number, worker: number, more = {}) =>
      podOf(
        podObject({ name: `llm-${group}-${worker}`, labels: labelsOf(group, worker), ...more }),
      );
    const target = { kind: "LeaderWorkerSet", name: "llm" };
    const own = scaledOf(
      "ScaledObject",
      scaledObject({ name: "llm", triggers: [trigger], target }),
    );
    const pods = copyOf<Pod>({
      a: podAt(0, 0),
      b: podAt(0, 1),
      c: podAt(1, 0),
      d: podAt(1, 1, { phase: "Pending" }),
    });
    const found = lookUp({
      scaledObjects: copyOf<ScaledResource>({ "default/llm": own }),
      pods: new Map([["default", pods]]),
      scaleOf: () => scaleOf("leaderworkerset.sigs.k8s.io/worker-index=0,app=llm", 2),
    });
    expect(found).toMatchObject({
      replicas: 2,
      statusReplicas: 2,
      pods: [
        { name: "llm-0-0", state: "counted", members: [{ name: "llm-0-1" }] },
        { name: "llm-1-0", state: "warming", members: [{ name: "llm-1-1" }] },
      ],
    });
  });

  test("is as old as the older of both copies, and refuses above the limit", () => {
    const old = copyOf<ScaledResource>({ "default/llm": scaled }, { ageMs: 5_000 });
    expect(lookUp({ scaledObjects: old }).ageMs).toBe(5_000);
    const aged = (ageMs: number) => ({ pods: new Map([["default", podsCopy([], { ageMs })]]) });
    expect(lookUp(aged(workloadStaleMs)).ageMs).toBe(workloadStaleMs);
    expect(faultOf(() => lookUp(aged(workloadStaleMs + 1))).code).toBe("data-stale");
  });

  test("selects again after a change, and not before", () => {
    const pods = podsCopy(["a"]);
    const scale = scaleOf("app=llm", 1);
    const lister = workloadLister({
      scaledObjects: copyOf<ScaledResource>({ "default/llm": scaled }),
      scaledJobs: copyOf<ScaledResource>({}),
      pods: new Map([["default", pods]]),
      scaleOf: () => scale,
    });
    const at = (generation: number) =>
      lister({
        namespace: "default",
        name: "llm",
        metadata: trigger.metadata,
        podFilter: {},
        generation,
      });
    const first = at(1);
    expect(at(1).pods).toBe(first.pods);
    (pods.items as Map<string, Pod | undefined>).set(
      "b",
      podOf(podObject({ name: "b", labels: { app: "llm" } })),
    );
    expect(at(2).pods.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test("finds a ScaledJob by name, whose pods KEDA labels", () => {
    const labels = { "scaledjob.keda.sh/name": "batch" };
    const pods = copyOf<Pod>({ one: podOf(podObject({ name: "one", labels })) });
    expect(lookUp({ pods: new Map([["default", pods]]) }, "batch")).toMatchObject({
      kind: "ScaledJob",
      replicas: 1,
      pods: [{ name: "one" }],
    });
  });

  const failed = new Fault("kubernetes-failed", "Cannot get it", { path: "/", status: 500 });
  const absent = new Fault("kubernetes-failed", "Cannot get it", { path: "/", status: 404 });
  const unread = (failure?: Fault) =>
    copyOf<ScaledResource>({}, { synced: false, ...(failure === undefined ? {} : { failure }) });

  test.each([
    ["ScaledObjects", { scaledObjects: unread() }],
    ["ScaledObjects", { scaledObjects: unread(absent) }],
    ["ScaledJobs", { scaledJobs: unread() }],
    ["ScaledJobs", { scaledJobs: unread(failed) }],
  ])("waits for %s before it says that a name is unknown", (waitingFor, some) => {
    expect(faultOf(() => lookUp(some, "nobody"))).toMatchObject({
      code: "workload-syncing",
      facts: { waitingFor },
    });
  });

  test("needs no ScaledJobs where the kind is not installed", () => {
    const some = { scaledJobs: unread(absent) };
    expect(faultOf(() => lookUp(some, "nobody")).code).toBe("workload-unknown");
  });

  test.each([
    ["pods of default", { pods: new Map([["default", podsCopy([], { synced: false })]]) }],
    ["scale of default/llm", { scaleOf: () => undefined }],
  ])("waits for %s", (waitingFor, some) => {
    const fault = faultOf(() => lookUp(some));
    expect(fault).toMatchObject({ code: "workload-syncing", facts: { waitingFor } });
    expect(fault.message).toEndWith(`: ${waitingFor} not read yet; ask again in a moment`);
  });

  test("passes the fault of a scale on", () => {
    expect(faultOf(() => lookUp({ scaleOf: () => failed }))).toBe(failed);
  });

  test("refuses a namespace whose pods are not watched, and an object without a target", () => {
    expect(faultOf(() => lookUp({ pods: new Map() })).code).toBe("overloaded");
    const targetless = scaledOf("ScaledObject", {
      metadata: { namespace: "default", name: "llm" },
      spec: { triggers: [{ type: "external", metadata: trigger.metadata }] },
    });
    const some = { scaledObjects: copyOf<ScaledResource>({ "default/llm": targetless }) };
    expect(faultOf(() => lookUp(some)).message).toBe(
      "Cannot find the pods of default/llm: its spec has no scaleTargetRef; add one",
    );
  });

  test("filters by selector and container, and takes an empty filter for none", () => {
    const none = { podSelector: "", container: "" };
    expect(lookUp({}, "llm", none).pods).toHaveLength(2);
    expect(lookUp({}, "llm", { podSelector: "app" }).pods).toHaveLength(2);
    expect(lookUp({}, "llm", { container: "main" }).pods).toHaveLength(2);
    const fault = faultOf(() => lookUp({}, "llm", { podSelector: "app in" }));
    expect(fault.message).toBe(
      "Cannot use trigger metadata: podSelector: must be a Kubernetes label selector, got app in",
    );
  });

  test("selects by the filter where the kind does not say which pods are its own", () => {
    const some = { scaleOf: () => ({ replicas: 4 }) };
    expect(lookUp(some, "llm", { podSelector: "app=llm" })).toMatchObject({ replicas: 4 });
    expect(faultOf(() => lookUp(some)).message).toBe(
      "Cannot find the pods of default/llm: Deployment llm does not say which pods are its own; " +
        "set podSelector",
    );
  });
});
