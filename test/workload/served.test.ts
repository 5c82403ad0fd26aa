import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  askedForMax,
  askedForMs,
  namespacesMax,
  resyncMs,
  scaleReadsAtOnce,
} from "#core/limits.ts";
import { kubeconfigAccess } from "#kubernetes/access.ts";
import { kubernetesClient } from "#kubernetes/client.ts";
import { watchWorkloads } from "#workload/watch-workloads.ts";
import {
  requestsOf,
  shiftedClock,
  startFake,
  stopAll,
  temporaryDirectory,
  until,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { podObject, scalableObject, scaledObject } from "../fake-kubernetes/objects.ts";
import type { FakeKubernetes } from "../fake-kubernetes/server.ts";
import { ours, ready, startCluster, untilLater } from "./harness.ts";

afterEach(stopAll);

const secure = { tls: true, token: "first" };
const labels = { app: "llm" };
const pod = (name: string) => podObject({ name, labels });

function applyWorkload(fake: FakeKubernetes, name: string, namespace = "default") {
  fake.apply(
    scaledObject({ namespace, name, triggers: [{ metadata: ours }] }),
    scalableObject({ namespace, name, matchLabels: { app: name } }),
  );
}

/** Follows the fake's workloads over plain HTTP, with pauses that differ as they do in life. */
async function startPlain(fake: FakeKubernetes) {
  const clock = shiftedClock();
  const path = join(await temporaryDirectory(), "kubeconfig");
  await fake.writeKubeconfig(path);
  const workloads = watchWorkloads({
    client: kubernetesClient(await kubeconfigAccess(path), clock),
    clock,
    random: Math.random,
    log: () => {},
    services: ["keda-gpu-scaler.keda"],
  });
  whenOver(workloads.stop);
  return { clock, workloads };
}

test("every trigger that calls this service is named, and a peek records no request", async () => {
  const fake = await startFake(secure);
  const other = { scalerAddress: "another:6000" };
  const second = { ...ours, metricType: "queue_depth" };
  applyWorkload(fake, "asked", "guest");
  fake.apply(
    scaledObject({
      name: "llm",
      triggers: [{ metadata: ours }, { metadata: other }, { metadata: second }],
    }),
    scalableObject({ name: "llm", matchLabels: labels }),
    scaledObject({ namespace: "guest", name: "asked", triggers: [{ metadata: other }] }),
  );
  const started = await startCluster(fake);
  expect(started.workloads.servedTriggers()).toEqual([]);
  await ready(started);
  expect(started.workloads.servedTriggers()).toEqual([
    { namespace: "default", name: "llm", metadata: ours },
    { namespace: "default", name: "llm", metadata: second },
  ]);
  expect(started.workloads.peek.of("default", "llm", ours)).toEqual({
    ...started.look("llm"),
    ageMs: expect.any(Number),
  });
  // Of another's object nothing is read before somebody asks, and a peek does not ask.
  const peek = () => started.workloads.peek.of("guest", "asked", other);
  for (let count = 0; count < 3; count += 1) expect(peek).toThrow("Cannot look up guest/asked");
  expect(requestsOf(fake, "list", "/guest/pods")).toEqual([]);
});

describe("what is served", () => {
  test.each([
    "keda-gpu-scaler.keda:6000",
    "keda-gpu-scaler.keda.svc:6000",
    "keda-gpu-scaler.keda.svc.example.org.:6000",
    "dns:///keda-gpu-scaler.keda.svc",
    "keda-gpu-scaler:6000",
  ])("are ScaledObjects that call %s", async (scalerAddress) => {
    const fake = await startFake(secure);
    fake.apply(scaledObject({ name: "llm", triggers: [{ metadata: { scalerAddress } }] }));
    await startCluster(fake);
    await until(() => requestsOf(fake, "watch", "/pods").length === 1);
  });

  test.each(["keda-gpu-scaler.other.svc:6000", "keda-gpu-scaler.keda-2:6000", ""])(
    "are not those that call %p, until they ask, for ten minutes",
    async (scalerAddress) => {
      const fake = await startFake(secure);
      const metadata = { scalerAddress };
      fake.apply(
        scaledObject({ name: "llm", triggers: [{ metadata }] }),
        scalableObject({ name: "llm", matchLabels: labels }),
        pod("a"),
      );
      const started = await startCluster(fake);
      await ready(started);
      expect(requestsOf(fake, "list", "/pods")).toEqual([]);

      expect(started.faultOf("llm", { metadata })).toBe("workload-syncing");
      await until(() => started.faultOf("llm", { metadata }) === undefined);
      expect(started.look("llm", { metadata }).pods).toHaveLength(1);

      started.clock.advance(askedForMs + 1);
      await untilLater(started, () => fake.openWatches() === 2);
      expect(started.faultOf("llm", { metadata })).toBe("workload-syncing");
    },
  );

  test("is not changed by calls that no object makes", async () => {
    const fake = await startFake(secure);
    const metadata = { scalerAddress: "elsewhere:1" };
    const triggers = [{ metadata }];
    fake.apply(
      scaledObject({ name: "first", triggers }),
      scaledObject({ namespace: "guest", name: "second", triggers }),
    );
    const started = await startCluster(fake);
    await ready(started);
    expect(started.faultOf("first", { metadata })).toBe("workload-syncing");
    for (let index = 0; index <= askedForMax; index += 1)
      expect(started.faultOf(`name-${index}`)).toBe("workload-unknown");
    const invented = { namespace: "guest", metadata: { ...metadata, metricType: "queue_depth" } };
    expect(started.faultOf("second", invented)).toBe("trigger-unmatched");
    await until(() => requestsOf(fake, "watch", "/pods").length === 1);

    // What somebody asked for is remembered through the next tidying, and nothing else is.
    started.clock.advance(resyncMs + 1);
    await until(() => started.faultOf("first", { metadata }) === "scale-target-unusable");
    expect(requestsOf(fake, "list", "/pods")).toHaveLength(1);
    expect(requestsOf(fake, "list", "/guest/pods")).toEqual([]);
    expect(fake.openWatches()).toBe(3);
  });

  test("stays bounded when thousands of others' objects ask", async () => {
    const fake = await startFake(secure);
    const metadata = { scalerAddress: "elsewhere:1" };
    const triggers = [{ metadata }];
    fake.apply(scaledObject({ namespace: "first", name: "first", triggers }));
    for (let index = 0; index < askedForMax; index += 1)
      fake.apply(scaledObject({ name: `name-${index}`, triggers }));
    const started = await startCluster(fake);
    await ready(started);
    const first = () => started.faultOf("first", { namespace: "first", metadata });
    expect(first()).toBe("workload-syncing");
    await until(() => requestsOf(fake, "watch", "/first/pods").length === 1);
    for (let index = 0; index < askedForMax; index += 1)
      expect(started.faultOf(`name-${index}`, { metadata })).toBe("workload-syncing");
    await until(() => requestsOf(fake, "watch", "/pods").length === 2);
    // `first` was asked for before all of them, so it is forgotten at the next tidying.
    await untilLater(started, () => fake.openWatches() === 3);
  });

  test("stays bounded in namespaces", async () => {
    const fake = await startFake();
    for (let index = 0; index <= namespacesMax; index += 1)
      fake.apply(
        scaledObject({ namespace: `n-${index}`, name: "x", triggers: [{ metadata: ours }] }),
      );
    const { workloads } = await startPlain(fake);
    await until(() => fake.openWatches() === namespacesMax + 2);
    const refused = Array.from({ length: namespacesMax + 1 }, (_, index) => {
      try {
        workloads.view.of(`n-${index}`, "x", ours);
        return "";
      } catch (fault) {
        return String(fault);
      }
    }).filter((message) => message.includes(`pods of ${namespacesMax} namespaces are watched`));
    expect(refused).toHaveLength(1);
  }, 30_000);

  test("costs the API server 100 requests a minute for 500 ScaledObjects at rest", async () => {
    const fake = await startFake();
    for (let index = 0; index < 500; index += 1) {
      const namespace = `team-${index % 20}`;
      applyWorkload(fake, `llm-${index}`, namespace);
      fake.apply(podObject({ namespace, name: `llm-${index}-a`, labels: { app: `llm-${index}` } }));
    }
    const { clock, workloads } = await startPlain(fake);
    fake.setDelay(2);
    await until(() => workloads.waitingFor().length === 0);
    fake.setDelay(0);
    expect(workloads.view.of("team-19", "llm-499", ours).pods).toHaveLength(1);
    // 3 + 20 lists (ScaledObjects take two pages), 22 watches, one discovery, 500 scales.
    expect(fake.requests.length).toBeLessThanOrEqual(23 + 22 + 1 + 500 + 1);
    expect(fake.mostAtOnce("scale")).toBeLessThanOrEqual(scaleReadsAtOnce);

    const before = fake.requests.length;
    for (let step = 0; step < 600; step += 1) {
      clock.advance(1_000);
      if (step % 60 === 0) fake.bookmark();
      await Bun.sleep(1);
    }
    const perMinute = (fake.requests.length - before) / 10;
    expect(perMinute).toBeGreaterThan(60);
    expect(perMinute).toBeLessThan(130);
  }, 30_000);
});
