import { describe, expect, test } from "bun:test";
import type { Collection } from "#device/collector.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { Allocations, PodResources } from "#node/pod-resources.ts";
import type { OwnerOf } from "#node/process-owners.ts";
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
    conditions: [],
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
  const sayAll = (pods: Readonly<Record<string, string>>, readAtMs: number) => {
    const allocations = Object.entries(pods).map(([pod, id]) => {
      return { namespace: "team", pod, container: "main", resource: "nvidia.com/gpu", id };
    });
    latest = { allocations, readAtMs };
    listener();
  };
  const say = (pod: string, id: string, readAtMs: number) => sayAll({ [pod]: id }, readAtMs);
  return { resources, say, sayAll, refreshed: () => refreshed };
}

function setUp(podResources?: PodResources, ownerOf?: OwnerOf) {
  const clock = manualClock(1_000);
  const logged: string[] = [];
  const reports = nodeReports({
    name: "node-a",
    sampleIntervalMs: 1_000,
    clock,
    log: (_level, event) => logged.push(event),
    ...(podResources === undefined ? {} : { podResources }),
    ownerOf,
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
    lackingAges: new Map([[uuid, { absent: { encoderPercent: 10 } }]]),
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

test("says for how long a device has lacked what it lacks, until it has it again", () => {
  const { reports } = setUp();
  const [device] = collection(uuid).devices;
  const put = (changes: object, atMs: number) =>
    reports.put({ session: 4, devices: [{ ...device, ...changes } as never] }, atMs);
  const ages = () => reports.latest()?.lackingAges?.get(uuid);
  const lost = { health: { state: "lost", reason: "off the bus" } };
  put({}, 100);
  put(lost, 200);
  put({ ...lost, readings: {}, absences: { utilizationPercent: "failed" } }, 300);
  put({ ...lost, readings: {}, absences: { utilizationPercent: "failed" } }, 400);
  expect(ages()).toEqual({ unwell: 800, absent: { utilizationPercent: 700 } });
  put({}, 500);
  expect(ages()).toEqual({ unwell: undefined, absent: { encoderPercent: 500 } });
});

describe("shared devices", () => {
  const processes = [
    { pid: 1, smPercent: 30 },
    { pid: 2, smPercent: 10 },
  ];
  const withProcesses = (session: Collection): Collection => ({
    ...session,
    devices: session.devices.map((device) => ({ ...device, processes })),
  });

  test("are those that several pods hold, time slices and what MPS divides", () => {
    const { resources, sayAll } = heldResources();
    const { reports } = setUp(resources);
    const [own, mig] = [
      "GPU-20000000-0000-0000-0000-000000000000",
      "MIG-30000000-0000-0000-0000-000000000000",
    ];
    expect(reports.sharedDevices()).toEqual([]);
    reports.put(collection(mig, uuid, own), 1_000);
    sayAll({ p: `${uuid}::0`, q: `${uuid}::3`, r: own, s: `${mig}::0`, t: `${mig}::1` }, 1_000);
    expect(reports.sharedDevices()).toEqual([mig, uuid]);
    sayAll({ p: `${uuid}::0`, r: own }, 2_000);
    expect(reports.sharedDevices()).toEqual([]);
  });

  test("are told with the parts of their pods, and their processes stay on the node", () => {
    const { reports } = setUp(undefined, (pid) => ({ kind: "pod", uid: `uid-${pid}` }));
    reports.put(withProcesses(collection(uuid)), 1_000);
    const [device] = reports.latest()?.devices ?? [];
    expect(device?.uses).toEqual({
      smPercent: new Map([
        ["uid-1", 0.75],
        ["uid-2", 0.25],
      ]),
    });
    expect(device).not.toHaveProperty("processes");
    reports.put(collection(uuid), 2_000);
    expect(reports.latest()?.devices[0]?.uses).toBeUndefined();
  });

  test("whose processes are nobody's known are told without parts, and that is said once", () => {
    let isVisible = false;
    const ownerOf: OwnerOf = () => (isVisible ? { kind: "none" } : undefined);
    const { reports, logged } = setUp(undefined, ownerOf);
    reports.put(withProcesses(collection(uuid)), 1_000);
    reports.put(withProcesses(collection(uuid)), 2_000);
    expect(reports.latest()?.devices[0]?.uses).toEqual({});
    expect(logged).toEqual(["processes of shared devices belong to nobody who is known"]);
    isVisible = true;
    reports.put(withProcesses(collection(uuid)), 3_000);
    expect(logged.at(-1)).toBe("processes of shared devices are known again");
  });
});

describe("of a device whose exporter names who holds it", () => {
  const named = (...pods: readonly string[]) =>
    pods.map((pod) => ({ namespace: "team", pod, container: "main" }));
  const put = (
    podResources: PodResources | undefined,
    pods: readonly string[],
    pluginIds?: DeviceSample["pluginIds"],
  ) => {
    const { clock, reports } = setUp(podResources);
    const { devices, ...rest } = collection(uuid);
    const exported = devices.map((one) => ({ ...one, pluginIds, namedHolders: named(...pods) }));
    reports.put({ ...rest, devices: exported }, clock.monotonicMs());
    clock.advance(400);
    const report = reports.latest();
    return { holders: report?.devices[0]?.holders, holdersAgeMs: report?.holdersAgeMs, report };
  };

  test("they hold it where no kubelet is asked, as of the sample", () => {
    expect(put(undefined, ["chat-0"])).toMatchObject({
      holders: named("chat-0"),
      holdersAgeMs: 400,
    });
    expect(put(undefined, [])).toMatchObject({ holders: [], holdersAgeMs: 400 });
  });

  test("several pods share it", () => {
    const { holders } = put(undefined, ["chat-0", "chat-1"]);
    expect(holders?.map(({ sharedBy }) => sharedBy)).toEqual([2, 2]);
  });

  test("and also where the kubelet cannot tell it by an id, but not where it can", () => {
    const kubelet = heldResources();
    kubelet.say("other-0", "somebody-else", 900);
    expect(put(kubelet.resources, ["chat-0"]).holders).toEqual(named("chat-0"));
    expect(
      put(kubelet.resources, ["chat-0"], [{ resource: "acme.com/chip", id: "7" }]).holders,
    ).toEqual([]);
  });

  test("a report has neither the plugin's ids nor the labels' holders", () => {
    const { report } = put(undefined, ["chat-0"], [{ resource: "acme.com/chip", id: "7" }]);
    expect(report?.devices[0]).not.toHaveProperty("pluginIds");
    expect(report?.devices[0]).not.toHaveProperty("namedHolders");
  });
});
