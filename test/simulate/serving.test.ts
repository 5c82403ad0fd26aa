import { describe, expect, test } from "bun:test";
import { column, endToEndEdges, engineHistory, firstTokenEdges } from "#simulate/history.ts";
import { serving } from "./serving.ts";

const rounded = (times: Float64Array, count: number) =>
  [...times.slice(0, count)].map((time) => Math.round(time));

describe("an engine", () => {
  test("reads one prompt after the other, and then works on all at once", () => {
    const { traffic, play } = serving({ arriveMs: [0, 0], replica: { batchSlots: 2 } });
    play(1, 30);
    expect(rounded(traffic.requests.firstTokenMs, 2)).toEqual([100, 200]);
    expect(rounded(traffic.requests.finishedMs, 2)).toEqual([10_100, 10_200]);
  });
  test("keeps those for which the batch has no slot in a queue, in order", () => {
    const { traffic, pods, play } = serving({ arriveMs: [0, 0, 10, 20] });
    play(1, 1);
    const [replica] = pods.all();
    expect([replica?.engine.running(), replica?.engine.waiting()]).toEqual([2, 2]);
    play(2, 40);
    expect(rounded(traffic.requests.admittedMs, 4)).toEqual([0, 0, 10_100, 10_200]);
  });
  test("keeps those whose tokens do not fit into the cache", () => {
    const { traffic, play } = serving({ arriveMs: [0, 0], replica: { kvBlocks: 39 } });
    play(1, 40);
    expect(rounded(traffic.requests.admittedMs, 2)).toEqual([0, 10_100]);
  });
  test("works on one alone that never fits", () => {
    const { traffic, play } = serving({ arriveMs: [0, 0], replica: { kvBlocks: 5 } });
    play(1, 40);
    expect(rounded(traffic.requests.admittedMs, 2)).toEqual([0, 10_100]);
  });
  test("is as slow as its batch is full when a request starts", () => {
    const { traffic, play } = serving({
      arriveMs: [0, 0, 0],
      replica: { batchSlots: 3, batchSlowdown: 1 },
    });
    play(1, 60);
    expect(rounded(traffic.requests.finishedMs, 3)).toEqual([10_100, 15_200, 20_300]);
  });
  test("of two slots is slowest with both in use", () => {
    const { traffic, play } = serving({ arriveMs: [0, 0], replica: { batchSlowdown: 1 } });
    play(1, 60);
    expect(rounded(traffic.requests.finishedMs, 2)).toEqual([10_100, 20_200]);
  });
  test("tells which share of its slots was in use", () => {
    const { pods, play } = serving({ arriveMs: [500], replica: { batchSlots: 4 } });
    const shares: number[] = [];
    play(1, 12, () => shares.push(pods.all()[0]?.busyShare ?? -1));
    expect(shares.map((share) => Number(share.toFixed(3)))).toEqual([
      0.125, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.15, 0,
    ]);
  });
  test("counts what it does", () => {
    const { pods, play } = serving({ arriveMs: [0, 0, 0], outputTokens: 50 });
    play(1, 20);
    const { now } = pods.all()[0]?.engine.history ?? { now: new Float64Array() };
    const read = (name: keyof typeof column) => now[column[name]];
    expect(read("arrived")).toBe(3);
    expect(read("admitted")).toBe(3);
    expect(read("finished")).toBe(3);
    expect(read("promptTokens")).toBe(300);
    expect(read("outputTokens")).toBe(150);
    expect(read("queueWait")).toBeCloseTo(5_100, 3);
    expect([read("running"), read("waiting"), read("kvShare")]).toEqual([0, 0, 0]);
    play(21, 21);
  });
});

describe("what an engine has counted", () => {
  test.each([
    ["first tokens", column.firstToken, firstTokenEdges],
    ["whole requests", column.endToEnd, endToEndEdges],
  ])("of %s goes into the first bucket that is not below it", (_what, from, edges) => {
    const { now, observe } = engineHistory();
    expect(edges.every((edge, index) => edge > (edges[index - 1] ?? 0))).toBe(true);
    for (const edge of edges) observe(from, edges, 1000 * edge);
    observe(from, edges, 1000 * (edges.at(-1) ?? 0) + 1);
    expect([...now.slice(from, from + edges.length + 1)]).toEqual(
      Array.from({ length: edges.length + 1 }, () => 1),
    );
  });
  test("is kept for the widest window and not longer", () => {
    const { now, keep, count, atMs, value } = engineHistory();
    for (let scrape = 1; scrape <= 1_000; scrape += 1) {
      now[column.running] = scrape;
      keep(scrape * 5_000);
    }
    expect(count()).toBe(123);
    expect([atMs(0), value(0, column.running)]).toEqual([5_000_000, 1_000]);
    expect([atMs(122), value(122, column.running)]).toEqual([4_390_000, 878]);
  });
});

describe("the front end", () => {
  test("sends to the replica that has the fewest, and takes turns among equals", () => {
    const arriveMs = [0, 1, 2, 3, 4];
    const { pods, play } = serving({ arriveMs, target: { replicas: 3 } });
    play(1, 1);
    const counts = pods.all().map(({ engine }) => engine.running() + engine.waiting());
    expect(counts.toSorted()).toEqual([1, 2, 2]);
  });
  test("keeps what comes before there is a replica, and counts it", () => {
    const { pods, traffic, play } = serving({ arriveMs: [500, 700], target: { replicas: 0 } });
    play(1, 2);
    expect(traffic.waiting()).toBe(2);
    expect(traffic.history.now[column.waiting]).toBe(2);
    expect(traffic.history.now[column.arrived]).toBe(2);
    pods.create(0, -1, 2_000);
    play(3, 13);
    expect([traffic.waiting(), traffic.coldStarts()]).toEqual([0, 2]);
    expect(rounded(traffic.requests.admittedMs, 2)).toEqual([13_000, 13_000]);
    expect(traffic.history.now[column.running]).toBe(2);
  });
});

describe("a pod", () => {
  test("is scheduled, loads and serves", () => {
    const { pods, play } = serving({ target: { replicas: 0 }, cluster: { schedulingSeconds: 3 } });
    pods.create(0, -1, 0);
    const phases: string[] = [];
    play(1, 13, () => phases.push(pods.all()[0]?.phase ?? ""));
    expect(phases.slice(1, 3)).toEqual(["pending", "loading"]);
    expect(phases.slice(11)).toEqual(["loading", "ready"]);
  });
  test("waits for devices, all of them on one node", () => {
    const options = { replica: { gpus: 3 }, cluster: { nodes: 2, gpusPerNode: 4 } };
    const { pods, play } = serving({ target: { replicas: 0 }, ...options });
    for (let count = 0; count < 3; count += 1) pods.create(0, -1, 0);
    play(1, 11);
    expect(pods.all().map(({ phase }) => phase)).toEqual(["ready", "ready", "pending"]);
    expect(pods.all().map(({ nodes }) => nodes)).toEqual([[0], [1], []]);
    const [first] = pods.all();
    if (first !== undefined) pods.remove(first, 11_000);
    play(12, 13);
    expect(pods.all().map(({ phase }) => phase)).toEqual(["ready", "loading"]);
  });
  test("is not created above the quota", () => {
    const { pods } = serving({ target: { replicas: 2 }, cluster: { podQuota: 3 } });
    expect([pods.create(0, -1, 0), pods.create(0, -1, 0)]).toEqual([true, false]);
  });
  test("finishes what it has before it goes, and gets nothing more", () => {
    const arriveMs = [0, 0, 2_500];
    const { pods, traffic, play } = serving({ arriveMs, target: { replicas: 2 } });
    play(1, 1);
    const [first] = pods.all();
    if (first !== undefined) pods.remove(first, 1_000);
    play(2, 10);
    expect(pods.all().length).toBe(2);
    expect(first?.engine.running()).toBe(1);
    play(11, 20);
    expect(pods.all().length).toBe(1);
    expect(traffic.interrupted()).toBe(0);
    expect(traffic.requests.finishedMs.slice(0, 3).every((time) => time > 0)).toBe(true);
  });
  test("is killed when it takes too long, and its requests begin anew elsewhere", () => {
    const { pods, traffic, play } = serving({
      arriveMs: [0, 0],
      replica: { drainSeconds: 5 },
      target: { replicas: 2 },
    });
    play(1, 1);
    const [first] = pods.all();
    if (first !== undefined) pods.remove(first, 1_000);
    play(2, 6);
    expect([pods.all().length, traffic.interrupted()]).toEqual([1, 1]);
    play(7, 30);
    const ends = rounded(traffic.requests.finishedMs, 2).toSorted((one, other) => one - other);
    expect(ends).toEqual([10_100, 16_100]);
  });
  test("that crashes loads again, and its requests wait for a replica", () => {
    const { pods, traffic, play } = serving({ arriveMs: [0, 0, 0] });
    play(1, 2);
    const [only] = pods.all();
    if (only !== undefined) pods.crash(only, 2_000);
    expect([traffic.waiting(), traffic.interrupted()]).toEqual([3, 2]);
    play(3, 30);
    expect(rounded(traffic.requests.finishedMs, 3).slice(0, 2)).toEqual([22_100, 22_200]);
  });
});

describe("a device", () => {
  const busy = { arriveMs: [0, 0, 0, 0], replica: { batchSlots: 4, saturatedAt: 0.5 } };
  test("is as busy as the share of its holder's slots that saturates it", () => {
    const { devices, play } = serving({ ...busy, arriveMs: [0] });
    play(1, 1);
    const [device] = devices.nodes[0] ?? [];
    expect(device && devices.utilizationOf(device)).toBeCloseTo(50, 6);
  });
  test("is never busier than wholly, whoever shares it", () => {
    const { devices, play } = serving({
      ...busy,
      cluster: { nodes: 1, gpusPerNode: 1, podsPerGpu: 2 },
      target: { replicas: 2 },
    });
    play(1, 1);
    const [device] = devices.nodes[0] ?? [];
    expect(device?.holders.size).toBe(2);
    expect(device && devices.utilizationOf(device)).toBe(100);
  });
  test("that is shared makes those slower that use it at once", () => {
    const { traffic, play } = serving({
      arriveMs: [0, 1],
      cluster: { nodes: 1, gpusPerNode: 1, podsPerGpu: 2 },
      target: { replicas: 2 },
    });
    play(1, 60);
    expect(rounded(traffic.requests.finishedMs, 2)).toEqual([10_100, 20_201]);
  });
  test("has the memory in use that its holders took when they started", () => {
    const { devices, pods, play } = serving({
      replica: { memoryMib: 1_000 },
      cluster: {
        nodes: 1,
        gpusPerNode: 2,
        gpuMemoryMib: 1_700,
        driverMemoryMib: 100,
        podsPerGpu: 2,
      },
      target: { replicas: 0 },
    });
    const used = () => (devices.nodes[0] ?? []).map(devices.memoryUsedMib);
    for (let count = 0; count < 3; count += 1) pods.create(0, -1, 0);
    expect(used()).toEqual([100, 100]);
    play(1, 1);
    expect(used()).toEqual([1_700, 1_100]);
  });
  test("that is shared goes to the pod when it has the fewest holders", () => {
    const { devices } = serving({
      cluster: { nodes: 1, gpusPerNode: 2, podsPerGpu: 2 },
      target: { replicas: 2 },
    });
    expect((devices.nodes[0] ?? []).map(({ holders }) => holders.size)).toEqual([1, 1]);
  });
  test("that is cut into slices is held by slices", () => {
    const { devices, pods } = serving({
      cluster: { nodes: 1, gpusPerNode: 1, slicesPerGpu: 2, gpuMemoryMib: 81 },
      target: { replicas: 3 },
    });
    const [whole, ...slices] = devices.nodes[0] ?? [];
    expect(whole?.holders.size).toBe(0);
    expect(slices.map(({ holders }) => holders.size)).toEqual([1, 1]);
    expect(slices.map(({ parent, memoryMib }) => [parent, memoryMib])).toEqual([
      [0, 40],
      [0, 40],
    ]);
    expect(pods.all().map(({ phase }) => phase)).toEqual(["ready", "ready", "pending"]);
  });
});
