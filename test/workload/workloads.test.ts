import { describe, expect, test } from "bun:test";
import {
  endpointSlice,
  podObject,
  scalableObject,
  scaledJob,
  scaledObject,
} from "../fake-kubernetes/objects.ts";
import { ours, ready, startCluster, startFake, until } from "./harness.ts";

const secure = { tls: true, token: "first" };
const names = (pods: readonly { readonly name: string }[]) => pods.map(({ name }) => name);

describe("a Deployment's ScaledObject", () => {
  test("leads to its pods, trimmed, through its scale", async () => {
    const fake = await startFake(secure);
    fake.apply(
      scaledObject({ name: "llm", triggers: [{ metadata: ours }], minReplicaCount: 1 }),
      scalableObject({ name: "llm", replicas: 3, matchLabels: { app: "llm" } }),
      podObject({
        name: "llm-a",
        uid: "uid-a",
        labels: { app: "llm", tier: "gpu" },
        node: "node-1",
        ip: "10.0.0.1",
        containers: [{ name: "server", ports: [{ name: "http", port: 8000 }] }],
      }),
      podObject({ name: "other", labels: { app: "other" } }),
    );
    const cluster = await startCluster(fake);
    expect(cluster.faultOf("llm")).toBe("workload-syncing");
    await ready(cluster);

    expect(cluster.look("llm")).toEqual({
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas: 3,
      minReplicas: 1,
      maxReplicas: 100,
      pods: [
        {
          namespace: "default",
          name: "llm-a",
          uid: "uid-a",
          node: "node-1",
          ip: "10.0.0.1",
          state: "counted",
          containers: [{ name: "server", ready: true, ports: [{ name: "http", port: 8000 }] }],
          labels: { app: "llm", tier: "gpu" },
        },
      ],
      ageMs: expect.any(Number),
      generation: expect.any(Number),
    });
    expect(cluster.look("llm").ageMs).toBeLessThan(60_000);
  });
});

void [endpointSlice, scaledJob, until, names];
