import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { WorkloadRef } from "#answer/answer.ts";
import { decisions } from "#app/decisions.ts";
import { objectEvents } from "#app/object-events.ts";
import { Fault, unlessFault } from "#core/fault.ts";
import { eventAfterMs, eventOverMs, eventRetryMs } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import type { DeviceCondition } from "#metric/sample.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import { builtInProfiles } from "#trigger/profiles.ts";
import { triggerParser } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import { holder } from "../answer/cluster.ts";
import { startFake, stopAll, until, whenOver } from "../fake-kubernetes/harness.ts";
import { podObject, scalableObject, scaledJob, scaledObject } from "../fake-kubernetes/objects.ts";
import { ours, ready, startCluster } from "../workload/harness.ts";

setDefaultTimeout(30_000);
afterEach(stopAll);

const parse = triggerParser(() => builtInProfiles);
const right = { ...ours, metricType: "gpu_utilization", targetValue: "80" };
const misspelt = { ...ours, metricTyp: "gpu_utilization" };

/** A cluster with one ScaledObject, and replicas of the scaler that have decided what the test says. */
async function started(metadata: WorkloadRef["scalerMetadata"] = right) {
  const fake = await startFake({ tls: true, token: "first" });
  const put = (next: WorkloadRef["scalerMetadata"], ...names: readonly string[]) => {
    const labels = { app: "llm" };
    fake.apply(
      podObject({ name: "llm-0", labels, node: "a" }),
      scalableObject({ name: "llm", matchLabels: labels }),
      ...["llm", ...names].map((name) => scaledObject({ name, triggers: [{ metadata: next }] })),
    );
  };
  put(metadata);
  const cluster = await startCluster(fake);
  await ready(cluster);
  const { clock, client, workloads } = cluster;
  const logged: string[] = [];
  const store = fleetStore({ clock });
  let ended = 0;
  const counting: typeof client = {
    ...client,
    apply: (...request) =>
      client.apply(...request).finally(() => {
        ended += 1;
      }),
  };
  const replica = (options = { hasEvents: true, role: "scaler" as "scaler" | "all" }) => {
    const kept = decisions({
      clock,
      log: () => {},
      isKnown: ({ namespace, name, scalerMetadata }) =>
        unlessFault(() => workloads.admit(namespace, name, scalerMetadata)) !== undefined,
    });
    const events = objectEvents(options, {
      clock,
      random: () => 1,
      log: (level, event, facts) => logged.push(`${level} ${event}: ${facts?.["why"]}`),
      kubernetes: { client: counting },
      workloads,
      store,
    });
    if (events !== undefined) whenOver(events.stop);
    return { ...kept, events };
  };
  const replicas = [replica(), replica()];
  const patches = () => fake.requests.filter(({ method }) => method === "PATCH");
  return {
    ...cluster,
    put,
    store,
    replica,
    logged,
    patches,
    /** A round of every replica. */
    round: () => {
      for (const { expire, events, triggers } of replicas) {
        expire();
        events?.check(triggers());
      }
    },
    /** Has every replica decide this. */
    decide: (outcome: DecisionOutcome, scalerMetadata = metadata, name = "llm") => {
      const ref = { namespace: "default", name, scalerMetadata };
      const trigger = unlessFault(() => parse(scalerMetadata));
      for (const { record } of replicas) record({ ref, trigger, asked: false, outcome });
    },
    stop: () => {
      for (const { events } of replicas) events?.stop();
    },
    /** Waits until so many writes have ended. */
    writes: (count: number) => until(() => ended === count),
    events: () =>
      fake.events().map((event) => `${event["type"]} ${event["reason"]} x${event["count"]}`),
    message: (reason: string) =>
      `${fake.events().find((event) => event["reason"] === reason)?.["message"]}`,
  };
}

function refused(code: "data-missing" | "metric-unknown" | "trigger-invalid", text = "") {
  const message = `Cannot answer: ${text}`;
  const fault =
    code === "data-missing"
      ? new Fault(code, message, { known: 0, missing: [] })
      : code === "trigger-invalid"
        ? new Fault(code, message, { problems: [] })
        : new Fault(code, message, { asked: "", known: "" });
  return { question: "value", fault } as const satisfies DecisionOutcome;
}

function answered(...warnings: readonly TriggerWarning[]) {
  const explanation = {
    metric: "gpu_utilization",
    scope: "workload",
    rule: "",
    devices: [],
    warnings,
  } as const;
  return {
    question: "value",
    answer: { value: 1, explanation },
  } as const satisfies DecisionOutcome;
}

test("two replicas that see the same write one event of it, and one of its end", async () => {
  const { clock, decide, round, events, message, writes, client, fake } = await started();
  decide(refused("data-missing", "nothing is known"));
  round();
  clock.advance(eventAfterMs);
  round();
  await writes(2);
  expect(events()).toEqual(["Warning DataMissing x1"]);
  expect(message("DataMissing")).toBe("Trigger gpu-utilization: Cannot answer: nothing is known");
  const { metadata } = (await client.get(
    "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects/llm",
  )) as { metadata: { uid: string } };
  expect(fake.events()[0]?.["involvedObject"]).toEqual({
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledObject",
    namespace: "default",
    name: "llm",
    uid: metadata.uid,
  });

  decide(answered());
  round();
  clock.advance(eventOverMs);
  round();
  await writes(4);
  expect(events().toSorted()).toEqual(["Normal TriggerAnswers x1", "Warning DataMissing x1"]);
  round();
  expect(events()).toHaveLength(2);
});

test("a key that is corrected is another trigger, and what was wrong with the old one is over", async () => {
  const { clock, workloads, put, decide, round, events, writes } = await started(misspelt);
  decide(refused("trigger-invalid"), misspelt);
  round();
  clock.advance(eventAfterMs);
  round();
  await writes(2);
  put(right);
  await until(() => unlessFault(() => workloads.admit("default", "llm", right)) !== undefined);
  // The old trigger is gone, and nothing is known of the new one.
  round();
  clock.advance(eventOverMs);
  round();
  expect(events()).toEqual(["Warning TriggerRefused x1"]);
  decide(answered(), right);
  round();
  await writes(4);
  expect(events().toSorted()).toEqual(["Normal TriggerAnswers x1", "Warning TriggerRefused x1"]);
});

test("warnings have events of their own, beside answers", async () => {
  const { clock, decide, round, events, writes } = await started();
  decide(
    answered(
      { code: "shared-device", message: "A device is shared" },
      { code: "memory-runs-away", message: "Memory is taken at start" },
      { code: "target-as-fraction", message: "0.8 %" },
    ),
  );
  round();
  clock.advance(eventAfterMs);
  round();
  await writes(6);
  expect(events().toSorted()).toEqual([
    "Warning RunawayLikely x1",
    "Warning RunawayPrevented x1",
    "Warning TriggerWarning x1",
  ]);
  decide(answered());
  round();
  clock.advance(eventOverMs);
  round();
  await writes(12);
  expect(events().filter((event) => event.startsWith("Normal WarningResolved"))).toHaveLength(3);
});

describe("there is no event", () => {
  test.each([
    ["of a call that whoever reaches the port can make", right, refused("metric-unknown")],
    ["of an object that no longer has the trigger", misspelt, refused("data-missing")],
  ])("%s", async (_what, metadata, outcome) => {
    const { clock, decide, round, patches } = await started();
    decide(outcome, metadata);
    round();
    clock.advance(eventAfterMs);
    decide(outcome, metadata);
    round();
    decide(answered());
    clock.advance(eventOverMs);
    round();
    expect(patches()).toEqual([]);
  });

  test("where it is switched off, or where a process sees its own node alone", async () => {
    const { replica } = await started();
    expect(replica({ hasEvents: false, role: "scaler" }).events).toBeUndefined();
    expect(replica({ hasEvents: true, role: "all" }).events).toBeUndefined();
  });
});

test("an event repeats nothing that KEDA resolves from an environment", async () => {
  const metadata = { ...right, targetValueFromEnv: "TARGET" };
  const { clock, decide, round, writes, message } = await started(metadata);
  decide(refused("trigger-invalid", "targetValue: must be a decimal number, got s3cret"), {
    ...metadata,
    targetValueFromEnv: "s3cret",
  });
  round();
  clock.advance(eventAfterMs);
  round();
  await writes(2);
  expect(message("TriggerRefused")).toContain("targetValueFromEnv");
  expect(message("TriggerRefused")).not.toContain("s3cret");
});

/** Reports of node `a`, on which one device is as the test says, and is held by a pod. */
function reporting({ store }: Pick<Awaited<ReturnType<typeof started>>, "store">) {
  return (
    state: "ok" | "lost" | "failing",
    { pod = "llm-0", conditions = [] as readonly DeviceCondition[] } = {},
  ) =>
    store.put({
      name: "a",
      sampleIntervalMs: 1_000,
      ageMs: 0,
      holdersAgeMs: 0,
      session: 1,
      devices: [
        {
          uuid: "GPU-7",
          index: 0,
          vendor: "nvidia",
          model: "H200",
          health: state === "ok" ? { state } : { state, reason: "it fell off the bus" },
          conditions,
          readings: {},
          absences: {},
          holders: [holder(pod, { namespace: "default" })],
        },
      ],
    });
}

test("a pod's device that is lost is told of, and its end", async () => {
  const cluster = await started();
  const { clock, decide, round, writes, events, message } = cluster;
  const report = reporting(cluster);
  decide(answered());
  for (const [state, pod] of [
    ["lost", "somebody-else"],
    ["failing", "somebody-else"],
    ["ok", "llm-0"],
  ] as const) {
    report(state, { pod });
    round();
    clock.advance(eventAfterMs);
    round();
  }
  expect(events()).toEqual([]);
  clock.advance(1);
  report("lost");
  round();
  clock.advance(eventAfterMs);
  round();
  await writes(2);
  expect(events()).toEqual(["Warning GpuLost x1"]);
  expect(message("GpuLost")).toBe(
    "Pod llm-0 holds GPU-7 of node a, which is lost: it fell off the bus",
  );
  report("ok");
  round();
  clock.advance(eventOverMs);
  round();
  await writes(4);
  expect(events().toSorted()).toEqual(["Normal GpuLossResolved x1", "Warning GpuLost x1"]);
});

const remapFailed = { kind: "row-remap-failed", detail: "have it serviced" } as const;
const tooHot = { kind: "thermal-slowdown", detail: "too hot" } as const;

test.each([
  ["fails", "failing", [], "GpuFailing", "failing: it fell off the bus"],
  [
    "has to be serviced",
    "ok",
    [tooHot, remapFailed],
    "GpuDegraded",
    "row-remap-failed: have it serviced",
  ],
] as const)(
  "a pod's device that %s is told of once, and its end",
  async (_what, state, conditions, reason, why) => {
    const cluster = await started();
    const { clock, decide, round, writes, events, message, patches } = cluster;
    const report = reporting(cluster);
    decide(answered());
    report(state, { conditions });
    round();
    clock.advance(eventAfterMs);
    round();
    await writes(2);
    for (let pass = 0; pass < 3; pass += 1) {
      clock.advance(eventAfterMs);
      report(state, { conditions });
      round();
    }
    expect(patches()).toHaveLength(2);
    expect(events()).toEqual([`Warning ${reason} x1`]);
    expect(message(reason)).toBe(`Pod llm-0 holds GPU-7 of node a, which is ${why}`);
    report("ok", { conditions: [tooHot] });
    round();
    clock.advance(eventOverMs);
    round();
    await writes(4);
    expect(events().toSorted()).toEqual([`Normal GpuProblemResolved x1`, `Warning ${reason} x1`]);
  },
);

test("a lost device is none of a trigger's that counts other devices than its workload's own", async () => {
  const cluster = await started({ ...right, scope: "cluster" });
  const { clock, decide, round, patches } = cluster;
  decide(answered());
  reporting(cluster)("lost");
  round();
  clock.advance(eventAfterMs);
  round();
  expect(patches()).toEqual([]);
});

describe("an API server that refuses", () => {
  test("is logged once for each cause, left alone for growing times, and hears of it later", async () => {
    const { clock, fake, decide, round, logged, patches, events, writes } = await started();
    fake.fail({ path: /events/, status: 403, text: '{"message":"no"}' });
    decide(refused("data-missing"));
    round();
    clock.advance(eventAfterMs);
    round();
    await writes(2);
    expect(logged).toHaveLength(2);
    expect(logged[0]).toContain("warn events cannot be written: Cannot patch /api/v1/namespaces/");
    expect(logged[0]).toContain("grant create and patch on it");
    round();
    clock.advance(eventRetryMs - 5_000);
    round();
    expect(patches()).toHaveLength(2);
    clock.advance(5_000);
    round();
    await writes(4);
    expect(logged).toHaveLength(2);
    fake.fail();
    clock.advance(eventRetryMs);
    round();
    await writes(6);
    expect(events()).toEqual(["Warning DataMissing x1"]);
  });

  test("hears nothing more of a process that stops", async () => {
    const { clock, decide, round, patches, stop } = await started();
    decide(refused("data-missing"));
    round();
    stop();
    clock.advance(eventAfterMs);
    round();
    expect(patches()).toEqual([]);
  });
});

test("a ScaledJob has events too", async () => {
  const { clock, fake, workloads, decide, round, writes } = await started();
  fake.apply(scaledJob({ name: "train", triggers: [{ metadata: right }] }));
  await until(() => unlessFault(() => workloads.admit("default", "train", right)) !== undefined);
  decide(refused("data-missing"), right, "train");
  round();
  clock.advance(eventAfterMs);
  round();
  await writes(2);
  expect(fake.events()[0]?.["involvedObject"]).toMatchObject({ kind: "ScaledJob", name: "train" });
});
