import { afterEach, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { askedForMs, servicesMax, servicesShare } from "#core/limits.ts";
import { watchServices } from "#kubernetes/services.ts";
import {
  inClusterClient,
  requestsOf,
  shiftedClock,
  startFake,
  stopAll,
  until,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { type EndpointSliceOptions, endpointSlice } from "../fake-kubernetes/objects.ts";

afterEach(stopAll);

const http = [{ name: "http", port: 8001 }];
const router = { namespace: "ml", service: "router" };

async function started(...slices: Omit<EndpointSliceOptions, "namespace" | "service">[]) {
  const fake = await startFake({ tls: true, token: "first" });
  fake.apply(...slices.map((slice) => endpointSlice({ ...router, ...slice })));
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  const services = watchServices({ client, clock, random: () => 0, log: () => {} });
  whenOver(services.stop);
  const ask = (port = 8000, service = "router") => services.endpoints("ml", service, port);
  return { fake, clock, services, ask };
}

function faultOf(run: () => unknown): Fault | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** Asks until the Service is read. */
async function read(ask: () => unknown): Promise<void> {
  expect(faultOf(ask)?.message).toEndWith(
    " for metrics: its endpoints are not read yet; ask again in a moment",
  );
  await until(() => !faultOf(ask)?.message.includes("not read yet"));
}

test("a Service's endpoints are those of all its slices, without those that go away", async () => {
  const { ask } = await started(
    {
      name: "one",
      ports: http,
      endpoints: [
        { address: "10.0.0.2", ready: false },
        { address: "10.0.0.1" },
        { address: "10.0.0.3", serving: true, terminating: true },
      ],
    },
    {
      name: "two",
      ports: http,
      endpoints: [{ address: "10.0.0.2" }, { address: "10.0.0.4", ready: false }],
    },
    { name: "six", addressType: "IPv6", ports: http, endpoints: [{ address: "fd00::1" }] },
  );
  await read(ask);
  expect(ask()).toEqual([
    { address: "10.0.0.1", port: 8001, isPod: true, ready: true },
    { address: "10.0.0.2", port: 8001, isPod: true, ready: true },
    { address: "10.0.0.4", port: 8001, isPod: true, ready: false },
    { address: "fd00::1", port: 8001, isPod: true, ready: true },
  ]);
});

test("of several ports it is the one that is asked for, by the pods' own number", async () => {
  const ports = [...http, { name: "metrics", port: 9090 }];
  const { ask } = await started({ name: "one", ports, endpoints: [{ address: "10.0.0.1" }] });
  await read(ask);
  expect(ask(9090)).toEqual([{ address: "10.0.0.1", port: 9090, isPod: true, ready: true }]);
  const fault = faultOf(() => ask(80));
  expect(fault?.code).toBe("endpoint-refused");
  expect(fault?.message).toContain("it has the pods' ports 8001, 9090, of which none is 80");
});

test("a Service that cannot be read is an error that says why", async () => {
  const { fake, ask } = await started();
  fake.fail({ path: /endpointslices/, status: 403 });
  expect(faultOf(ask)?.code).toBe("data-missing");
  await until(() => faultOf(ask)?.message.includes("not read yet (Cannot get ") === true);
});

test("Services beyond the limit are refused until others are let go", async () => {
  const { ask, clock, services } = await started();
  for (let index = 0; index < servicesShare; index += 1) faultOf(() => ask(80, `service-${index}`));
  expect(faultOf(() => ask(80, "one-more"))?.message).toContain("250 of namespace ml are followed");
  expect(faultOf(() => ask(80, "service-0"))?.code).toBe("data-missing");
  const others = (namespace: string, service: string) =>
    faultOf(() => services.endpoints(namespace, service, 80))?.code;
  for (let index = servicesShare; index < servicesMax; index += 1)
    expect(others("bank", `service-${index}`)).toBe("data-missing");
  expect(others("shop", "one-more")).toBe("overloaded");
  clock.advance(askedForMs + 60_000);
  expect(faultOf(() => ask(80, "one-more"))?.code).toBe("data-missing");
});

test("of a slice only TCP ports and addresses count", async () => {
  const { fake, ask } = await started();
  const slice = endpointSlice({ ...router, name: "one", ports: [], endpoints: [] });
  const ports = [
    { name: "quic", port: 443, protocol: "UDP" },
    { name: "any" },
    { name: "http", port: 8001, protocol: "TCP" },
  ];
  const endpoints = [{ addresses: ["10.0.0.1"] }, { conditions: { ready: false } }];
  fake.apply(
    { ...slice, ports, endpoints },
    {
      ...endpointSlice({ ...router, name: "two", ports: http, endpoints: [{ address: "a.b" }] }),
      addressType: "FQDN",
    },
  );
  await read(ask);
  // An endpoint without conditions is ready.
  expect(ask()).toEqual([{ address: "10.0.0.1", port: 8001, isPod: false, ready: true }]);
});

test("an endpoint that is another namespace's pod, or no pod, is left out; what nobody vouches for is told apart", async () => {
  const { services, ask } = await started({
    name: "one",
    ports: http,
    endpoints: [
      { address: "10.0.0.1" },
      { address: "10.0.0.2", targetRef: { kind: "Pod", namespace: "bank" } },
      { address: "10.0.0.3", targetRef: { kind: "Node", namespace: "ml" } },
      { address: "10.0.0.4", targetRef: undefined },
    ],
  });
  await read(ask);
  expect(ask().map(({ address, isPod }) => ({ address, isPod }))).toEqual([
    { address: "10.0.0.1", isPod: true },
    { address: "10.0.0.4", isPod: false },
  ]);
  const byHand = (allowed: boolean) => () =>
    services.endpoints("ml", "router", 8000, ({ isPod }) => allowed && !isPod);
  expect(byHand(true)().map(({ address }) => address)).toEqual(["10.0.0.4"]);
  const fault = faultOf(byHand(false));
  expect(fault?.code).toBe("endpoint-refused");
  expect(fault?.message).toBe(
    "Cannot ask Service ml/router for metrics: its endpoints 10.0.0.1:8001, 10.0.0.4:8001 are no " +
      "pods; have the operator name them in --allow-endpoint",
  );
});

test("a Service without endpoints is an error, and never nothing", async () => {
  const { ask } = await started({ name: "one", ports: http, endpoints: [] });
  await read(ask);
  expect(faultOf(ask)?.code).toBe("data-missing");
  expect(faultOf(ask)?.message).toContain("Service ml/router for metrics: it has no endpoints");
  await read(() => ask(8000, "no-such"));
  expect(faultOf(() => ask(8000, "no-such"))?.message).toContain("no endpoints");
});

test("changes are told, and a Service that nobody asks about is let go", async () => {
  const { fake, clock, services, ask } = await started({
    name: "one",
    ports: http,
    endpoints: [{ address: "10.0.0.1" }],
  });
  let changes = 0;
  services.subscribe(() => {
    changes += 1;
  });
  await read(ask);
  const before = changes;
  fake.apply(
    endpointSlice({ ...router, name: "two", ports: http, endpoints: [{ address: "10.0.0.2" }] }),
  );
  await until(() => ask().length === 2);
  expect(changes).toBeGreaterThan(before);

  const lists = () => requestsOf(fake, "list", "endpointslices").length;
  expect(lists()).toBe(1);
  clock.advance(askedForMs + 60_000);
  expect(faultOf(ask)?.message).toContain("not read yet");
  await until(() => faultOf(ask) === undefined);
  expect(lists()).toBe(2);
});
