import { expect, test } from "bun:test";
import type { Collection } from "#device/collector.ts";
import type { Allocations, PodResources } from "#node/pod-resources.ts";
import { nodeReports } from "#node/reports.ts";
import { manualClock } from "../support/manual-clock.ts";

const uuid = "GPU-10000000-0000-0000-0000-000000000000";
const collection = (...uuids: readonly string[]): Collection => ({
  session: 4,
  driverVersion: "570.86.10",
  devices: uuids.map((one, index) => ({
    uuid: one,
    index,
    vendor: "nvidia",
    model: "H100",
    health: { state: "ok" },
    readings: { utilizationPercent: 42 },
    absences: { encoderPercent: "unsupported" },
  })),
});

/** The kubelet's word, as the test gives it. */
function heldResources() {
  let latest: Allocations | undefined;
  let listener = () => {};
  let refreshed = 0;
  const resources: PodResources = {
    latest: () => latest,
    refresh: () => {
      refreshed += 1;
    },
    subscribe: (next) => {
      listener = next;
      return () => {};
    },
    close: () => {},
  };
  const say = (pod: string, id: string, readAtMs: number) => {
    const holder = { namespace: "team", pod, container: "main" };
    latest = { allocations: [{ ...holder, resource: "nvidia.com/gpu", id }], readAtMs };
    listener();
  };
  return { resources, say, refreshed: () => refreshed };
}

function setUp(podResources?: PodResources) {
  const clock = manualClock(1_000);
  const logged: string[] = [];
  const reports = nodeReports({
    name: "node-a",
    sampleIntervalMs: 1_000,
    clock,
    log: (_level, event) => logged.push(event),
    ...(podResources === undefined ? {} : { podResources }),
  });
  return { clock, reports, logged };
}

test("there is no report before the first collection, and its age grows after it", () => {
  const { clock, reports } = setUp();
  expect(reports.latest()).toBeUndefined();

  reports.put(collection(uuid), 990);
  expect(reports.latest()).toEqual({
    name: "node-a",
    sampleIntervalMs: 1_000,
    ageMs: 10,
    session: 4,
    driverVersion: "570.86.10",
    devices: [{ ...collection(uuid).devices[0], holders: [] } as never],
  });
  clock.advance(5_000);
  expect(reports.latest()?.ageMs).toBe(5_010);
});

test("holders are unknown until the kubelet answers, and then have an age of their own", () => {
  const { resources, say } = heldResources();
  const { clock, reports } = setUp(resources);
  let told = 0;
  reports.subscribe(() => {
    told += 1;
  });
  reports.put(collection(uuid), 1_000);
  expect(reports.latest()?.holdersAgeMs).toBeUndefined();

  say("p", uuid, 1_000);
  clock.advance(3_000);
  expect(told).toBe(2);
  expect(reports.latest()).toMatchObject({
    ageMs: 3_000,
    holdersAgeMs: 3_000,
    devices: [{ holders: [{ namespace: "team", pod: "p", container: "main" }] }],
  });
});

test("a device that comes is joined at once, and the kubelet asked again", () => {
  const { resources, say, refreshed } = heldResources();
  const { reports, logged } = setUp(resources);
  const late = "GPU-20000000-0000-0000-0000-000000000000";
  reports.put(collection(uuid), 1_000);
  reports.put(collection(uuid), 2_000);
  expect(refreshed()).toBe(1);

  say("p", late, 2_000);
  expect(logged).toEqual(["pods hold devices that the driver does not list"]);
  reports.put(collection(uuid, late), 3_000);
  expect(refreshed()).toBe(2);
  expect(reports.latest()?.devices.map(({ holders }) => holders.length)).toEqual([0, 1]);
});
