import { afterEach, expect, test } from "bun:test";
import { watchEndpointSlices } from "#kubernetes/endpoint-slices.ts";
import {
  inClusterClient,
  shiftedClock,
  startFake,
  stopAll,
  until,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { endpointSlice } from "../fake-kubernetes/objects.ts";

afterEach(stopAll);

const ports = [
  { name: "http", port: 9090 },
  { name: "grpc", port: 6001 },
];
const agents = { service: "keda-gpu-scaler-agent", namespace: "keda" };

async function watched(...slices: ReturnType<typeof endpointSlice>[]) {
  const fake = await startFake({ tls: true, token: "first" });
  fake.apply(...slices);
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  let changes = 0;
  const logged: unknown[] = [];
  const watch = watchEndpointSlices({
    client,
    clock,
    random: () => 0,
    log: (_level, _event, facts) => logged.push(facts?.["addresses"]),
    ...agents,
    changed: () => {
      changes += 1;
    },
  });
  whenOver(watch.stop);
  expect(watch.synced()).toBe(false);
  await until(watch.synced);
  return { fake, watch, logged, changes: () => changes };
}

test("the endpoints of a Service are those of all its slices, each address once", async () => {
  const { watch } = await watched(
    endpointSlice({
      ...agents,
      name: "one",
      ports,
      endpoints: [
        { address: "10.0.0.1", node: "node-1" },
        { address: "10.0.0.2", node: "node-2", ready: false },
        { address: "10.0.0.3", node: "node-3", ready: true, serving: true, terminating: true },
        { address: "10.0.0.5", ready: true, serving: false },
      ],
    }),
    endpointSlice({
      ...agents,
      name: "two",
      ports,
      endpoints: [
        { address: "10.0.0.2", node: "node-2" },
        { address: "10.0.0.4", node: "node-4" },
      ],
    }),
    endpointSlice({
      ...agents,
      name: "six",
      ports,
      addressType: "IPv6",
      endpoints: [{ address: "fd00::1", node: "node-1" }],
    }),
    endpointSlice({ ...agents, name: "portless", ports: [], endpoints: [{ address: "10.0.0.9" }] }),
    endpointSlice({
      ...agents,
      name: "other",
      service: "other",
      ports,
      endpoints: [{ address: "10.9.9.9" }],
    }),
  );
  expect(watch.endpoints()).toEqual([
    { address: "10.0.0.1", port: 6001, nodeName: "node-1", ready: true },
    { address: "10.0.0.2", port: 6001, nodeName: "node-2", ready: true },
    { address: "10.0.0.3", port: 6001, nodeName: "node-3", ready: false },
    { address: "10.0.0.4", port: 6001, nodeName: "node-4", ready: true },
    { address: "10.0.0.5", port: 6001, ready: false },
    { address: "fd00::1", port: 6001, nodeName: "node-1", ready: true },
  ]);
  expect(watch.ageMs()).toBeLessThan(60_000);
});

test("endpoints that are no pods of the Service's own namespace are left out, and warned of", async () => {
  const { watch, logged } = await watched(
    endpointSlice({
      ...agents,
      name: "one",
      ports,
      endpoints: [
        { address: "10.0.0.1", node: "node-1" },
        { address: "10.0.0.2", node: "node-2", targetRef: undefined },
        { address: "10.0.0.3", targetRef: { kind: "Pod", namespace: "tenant" } },
        { address: "10.0.0.4", targetRef: { kind: "Node", namespace: "keda" } },
      ],
    }),
  );
  expect(watch.endpoints().map(({ address }) => address)).toEqual(["10.0.0.1"]);
  expect(logged).toEqual([["10.0.0.2", "10.0.0.3", "10.0.0.4"]]);
});

test("endpoints come and go", async () => {
  const slice = (...addresses: readonly string[]) =>
    endpointSlice({
      ...agents,
      name: "one",
      ports,
      endpoints: addresses.map((address) => ({ address })),
    });
  const { fake, watch, changes } = await watched(slice("10.0.0.1"));
  const before = changes();
  fake.apply(slice("10.0.0.2"));
  await until(() => watch.endpoints()[0]?.address === "10.0.0.2");
  expect(changes()).toBe(before + 1);
  fake.remove({ kind: "EndpointSlice", namespace: "keda", name: "one" });
  await until(() => watch.endpoints().length === 0);
});
