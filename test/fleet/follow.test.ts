import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { systemClock } from "#core/clock.ts";
import { syncPatienceMs } from "#core/limits.ts";
import type { AgentEndpoint, AgentSource } from "#fleet/agents.ts";
import { type ReadingDemand, readingDemand } from "#fleet/demand.ts";
import { followFleet } from "#fleet/follow-agents.ts";
import { fleetStore } from "#fleet/store.ts";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { manualClock } from "../support/manual-clock.ts";
import { type TestAgent, type TestAgentOptions, testAgent } from "../support/test-agent.ts";
import { until } from "../support/until.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function agent(options?: TestAgentOptions): Promise<TestAgent> {
  const started = await testAgent(options);
  cleanups.push(started.kill);
  return started;
}

/** A follower on a clock of its own, with the agents that the test lists. */
function follow(
  first: readonly AgentEndpoint[] | undefined,
  { agentsMax = 100 } = {},
  demand?: ReadingDemand,
) {
  const clock = manualClock(1_000_000);
  const store = fleetStore({ clock });
  const view = store.view();
  let listed = first;
  let relist = () => {};
  const agents: AgentSource = {
    list: () => listed,
    subscribe: (listener) => {
      relist = listener;
      return () => {};
    },
  };
  const logged: string[] = [];
  const log = (_level: string, event: string) => logged.push(event);
  const follower = followFleet({ agents, store, clock, log, random: () => 0, agentsMax, demand });
  cleanups.push(follower.close);
  const list = (endpoints: readonly AgentEndpoint[]) => {
    listed = endpoints;
    relist();
  };
  const percents = (node: string) =>
    view.nodes.get(node)?.devices.map(({ uuid, readings }) => [uuid, readings.utilizationPercent]);
  clock.advance(0);
  return { ...follower, clock, view, list, percents, logged };
}

const nothingThere = { address: "127.0.0.1", port: 9, ready: true };

/** Takes connections and says nothing, as a frozen process does. */
async function frozen(): Promise<AgentEndpoint & { readonly dials: () => number }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return { address: "127.0.0.1", port, ready: true, dials: () => sockets.length };
}

test("every listed agent's node is in the view, and follows its readings", async () => {
  const one = await agent({ name: "node-a" });
  const two = await agent({ name: "node-b" });
  one.read({ "GPU-1": 10 });
  two.read({ "GPU-2": 20, "GPU-3": 30 });
  const { percents, view, synced } = follow([one, two]);
  await until(() => view.nodes.size === 2);
  expect(percents("node-a")).toEqual([["GPU-1", 10]]);
  expect(percents("node-b")).toEqual([
    ["GPU-2", 20],
    ["GPU-3", 30],
  ]);
  expect(synced()).toBe(true);

  two.read({ "GPU-2": 21, "GPU-3": 30 });
  await until(() => percents("node-b")?.[0]?.[1] === 21);
});

test("clocks an hour apart make no reading older or younger", async () => {
  const skewed = (offsetMs: number) => {
    const clock = systemClock();
    return {
      ...clock,
      wallMs: () => clock.wallMs() + offsetMs,
      monotonicMs: () => clock.monotonicMs() + offsetMs,
    };
  };
  const ahead = await agent({ name: "ahead", clock: skewed(3_600_000) });
  const behind = await agent({ name: "behind", clock: skewed(-3_600_000) });
  for (const one of [ahead, behind]) one.read({ "GPU-1": 10 });
  const { view, clock } = follow([ahead, behind]);
  await until(() => view.nodes.size === 2);
  for (const { sampledAtMs } of view.nodes.values()) {
    expect(sampledAtMs).toBeLessThanOrEqual(clock.monotonicMs());
    expect(sampledAtMs).toBeGreaterThan(clock.monotonicMs() - 60_000);
  }
});

describe("an agent that is killed", () => {
  test("keeps its node in the view, is silent from its last word on, and is followed again", async () => {
    const first = await agent();
    first.read({ "GPU-1": 10, "GPU-2": 20 });
    const { view, clock, percents, logged } = follow([first]);
    await until(() => view.nodes.size === 1);
    const lastWordMs = clock.monotonicMs();
    await first.kill();
    clock.advance(9_000);
    expect(view.unavailable).toEqual([]);
    clock.advance(1_500);
    expect(view.unavailable).toMatchObject([
      { address: `127.0.0.1:${first.port}`, node: "node-a", sinceMs: lastWordMs },
    ]);
    expect(percents("node-a")).toHaveLength(2);
    clock.advance(60_000);
    expect(logged).toEqual(["agent is silent"]);

    // It comes back with its devices in another order, as after a driver's restart.
    const second = await agent({ port: first.port, startedAtMs: 2 });
    second.read({ "GPU-2": 21, "GPU-1": 11 }, 2);
    await until(() => {
      clock.advance(100);
      return percents("node-a")?.[0]?.[0] === "GPU-2";
    });
    expect(percents("node-a")).toEqual([
      ["GPU-2", 21],
      ["GPU-1", 11],
    ]);
    clock.advance(500);
    expect(view.unavailable).toEqual([]);
    expect(logged).toEqual(["agent is silent", "agent is heard again"]);
  });
});

test("an agent that is not there is silent since it was listed, and says what was refused", async () => {
  const { clock, view, logged, list } = follow([nothingThere]);
  expect(view.unavailable[0]).toMatchObject({ sinceMs: 1_000_000, reason: "not connected yet" });
  clock.advance(9_500);
  expect(logged).toEqual([]);
  clock.advance(500);
  expect(logged).toEqual(["agent is silent"]);
  await until(() => {
    clock.advance(100);
    return /refused/i.test(view.unavailable[0]?.reason ?? "");
  });
  expect(view.unavailable).toMatchObject([{ address: "127.0.0.1:9", sinceMs: 1_000_000 }]);
  list([]);
  clock.advance(500);
  expect(logged).toEqual(["agent is silent", "silent agent is listed no more"]);
});

test("an agent that freezes is silent, and its connection is given up", async () => {
  const stuck = await frozen();
  const { clock, view } = follow([{ ...stuck, nodeName: "node-a" }]);
  await until(() => stuck.dials() === 1);
  clock.advance(500);
  expect(view.unavailable).toMatchObject([{ node: "node-a", reason: "not connected yet" }]);
  clock.advance(9_500);
  await until(() => {
    clock.advance(100);
    return stuck.dials() === 2;
  });
  expect(view.unavailable[0]?.reason).toContain("silent for 10000 ms");
});

test("an agent that freezes after it spoke becomes silent, its node stays", async () => {
  const standing = manualClock();
  const speaking = await agent({ clock: standing });
  speaking.read({ "GPU-1": 10 });
  const { clock, view } = follow([speaking]);
  await until(() => view.nodes.size === 1);
  clock.advance(10_000);
  expect(view.unavailable).toMatchObject([
    { node: "node-a", reason: "connected, and nothing comes" },
  ]);
  expect(view.nodes.size).toBe(1);
  await until(() => {
    clock.advance(100);
    return speaking.connections() === 2;
  });
});

test("an agent that is there and has read nothing yet is silent, and says why", async () => {
  const starting = await agent();
  const { clock, view, synced } = follow([starting]);
  clock.advance(1);
  await until(() => starting.connections() === 1);
  await until(() => {
    clock.advance(100);
    return view.unavailable[0]?.reason === "it is there and has read no device yet";
  });
  expect(synced()).toBe(false);
  starting.read({});
  await until(() => view.nodes.size === 1);
  expect(synced()).toBe(true);
});

describe("the list", () => {
  test("takes a node out of the view when its agent leaves it, and brings new ones in", async () => {
    const one = await agent({ name: "node-a" });
    const two = await agent({ name: "node-b" });
    one.read({ "GPU-1": 10 });
    two.read({ "GPU-2": 20 });
    const { list, view, clock } = follow([one]);
    await until(() => view.nodes.size === 1);
    list([one, two]);
    clock.advance(10);
    await until(() => view.nodes.size === 2);
    list([two]);
    expect([...view.nodes.keys()]).toEqual(["node-b"]);
    list([]);
    expect(view.nodes.size).toBe(0);
    expect(view.unavailable).toEqual([]);
  });

  test("an address that passes to another node is another agent", async () => {
    const one = await agent({ name: "node-a" });
    one.read({ "GPU-1": 10 });
    const { list, view, clock } = follow([{ ...one, nodeName: "node-a" }]);
    await until(() => view.nodes.has("node-a"));
    list([{ ...one, nodeName: "node-b" }]);
    expect(view.nodes.size).toBe(0);
    clock.advance(10);
    await until(() => one.connections() === 2);
  });

  test("beyond the limit is not followed, and says so for each agent", async () => {
    const one = await agent();
    one.read({ "GPU-1": 10 });
    const extra = { ...nothingThere, nodeName: "node-z" };
    const { list, view, logged, clock } = follow([one, extra], { agentsMax: 1 });
    await until(() => view.nodes.size === 1);
    clock.advance(20_000);
    const refused = view.unavailable.find(({ node }) => node === "node-z");
    expect(refused).toEqual({
      address: "127.0.0.1:9",
      node: "node-z",
      sinceMs: 1_000_000,
      reason: "not followed: 1 agents are already",
    });
    expect(logged).toContain("more agents are listed than are followed");
    list([extra]);
    expect(view.unavailable[0]?.reason).toBe("not connected yet");
  });
});

describe("two agents of one node", () => {
  async function pair(olderStartedAtMs: number, newerStartedAtMs: number) {
    const older = await agent({ startedAtMs: olderStartedAtMs });
    const newer = await agent({ startedAtMs: newerStartedAtMs });
    older.read({ "GPU-1": 1 });
    newer.read({ "GPU-1": 2 });
    const listed = (one: TestAgent) => ({ ...one, nodeName: "node-a" });
    return { older: listed(older), newer: listed(newer) };
  }

  test("the one that began later is believed, whichever is heard last", async () => {
    const { older, newer } = await pair(1_000, 2_000);
    const { percents, logged, clock, view, list } = follow([older]);
    await until(() => percents("node-a")?.[0]?.[1] === 1);
    list([older, newer]);
    clock.advance(10);
    await until(() => percents("node-a")?.[0]?.[1] === 2);
    clock.advance(500);
    expect(view.unavailable).toMatchObject([
      { address: `127.0.0.1:${older.port}`, node: "node-a" },
    ]);
    older.read({ "GPU-1": 3 });
    newer.read({ "GPU-1": 4 });
    await until(() => percents("node-a")?.[0]?.[1] === 4);
    clock.advance(500);
    expect(logged).toEqual(["two agents speak for one node: the one that began later is believed"]);
    expect(view.unavailable).toMatchObject([
      { address: `127.0.0.1:${older.port}`, node: "node-a" },
    ]);

    list([older]);
    expect(view.nodes.size).toBe(0);
    older.read({ "GPU-1": 5 });
    await until(() => percents("node-a")?.[0]?.[1] === 5);
    clock.advance(500);
    expect(view.unavailable).toEqual([]);
  });

  test("the one that began earlier is not believed when it comes later, and says why", async () => {
    const { older, newer } = await pair(1_000, 2_000);
    const { percents, clock, view, list } = follow([newer]);
    await until(() => percents("node-a")?.[0]?.[1] === 2);
    list([newer, older]);
    clock.advance(10);
    await until(() => {
      clock.advance(100);
      return view.unavailable.some(({ reason }) => reason !== "not connected yet");
    });
    expect(percents("node-a")).toEqual([["GPU-1", 2]]);
    expect(view.unavailable).toMatchObject([
      {
        address: `127.0.0.1:${older.port}`,
        node: "node-a",
        reason: `agent 127.0.0.1:${newer.port}, which began later, speaks for node node-a`,
      },
    ]);
  });

  test("of which the list names no node: the one heard first is believed while it lives", async () => {
    const one = await agent({ startedAtMs: 1_000 });
    const thief = await agent({ startedAtMs: 2_000 });
    one.read({ "GPU-1": 1 });
    thief.read({ "GPU-1": 99 });
    const { percents, logged, clock, view, list } = follow([one]);
    await until(() => percents("node-a")?.[0]?.[1] === 1);
    list([one, thief]);
    clock.advance(10);
    await until(() => logged.length === 1);
    clock.advance(500);
    expect(view.unavailable).toMatchObject([
      { reason: `agent 127.0.0.1:${one.port}, which was heard first, speaks for node node-a` },
    ]);
    one.read({ "GPU-1": 2 });
    await until(() => percents("node-a")?.[0]?.[1] === 2);

    await one.kill();
    clock.advance(10_500);
    thief.read({ "GPU-1": 98 });
    await until(() => {
      clock.advance(100);
      return percents("node-a")?.[0]?.[1] === 98;
    });
  });

  test("one agent with two addresses is one agent", async () => {
    const { older, newer } = await pair(1_000, 1_000);
    const { view, logged, clock, synced } = follow([older, newer]);
    await until(() => older.connections() + newer.connections() === 2 && synced());
    clock.advance(500);
    expect(view.nodes.size).toBe(1);
    expect(view.unavailable).toEqual([]);
    expect(logged).toEqual([]);
  });
});

describe("synced()", () => {
  test("waits for the list, and then for each agent or for its time", async () => {
    const unknown = follow(undefined);
    unknown.clock.advance(3_600_000);
    expect(unknown.synced()).toBe(false);
    unknown.list([nothingThere]);
    expect(unknown.synced()).toBe(false);
    unknown.clock.advance(syncPatienceMs);
    expect(unknown.synced()).toBe(true);
  });

  test("is true at once of a fleet without nodes, and stays true when nodes come", async () => {
    const { synced, list } = follow([]);
    expect(synced()).toBe(true);
    list([nothingThere]);
    expect(synced()).toBe(true);
  });
});

test("agents that report together are one change, at once", async () => {
  const clock = manualClock();
  const published: (readonly string[])[] = [];
  const reports: (() => void)[] = [];
  const endpoints = ["node-a", "node-b"].map((address) => ({ address, port: 1, ready: true }));
  const { close } = followFleet({
    agents: { list: () => endpoints, subscribe: () => () => {} },
    store: {
      put: () => {},
      remove: () => {},
      setUnavailable: (agents) => published.push(agents.map(({ address }) => address)),
    },
    clock,
    log: () => {},
    random: () => 0,
    watch: ({ address, onSnapshot }) => {
      const snapshot = create(NodeSnapshotSchema, { state: { node: address } });
      reports.push(() => onSnapshot(snapshot));
      return new Promise(() => {});
    },
  });
  cleanups.push(close);
  expect(published).toEqual([["node-a:1", "node-b:1"]]);
  clock.advance(0);
  for (const report of reports) report();
  clock.advance(0);
  expect(published.slice(1)).toEqual([[]]);
});

test("an agent that names another node speaks for the first one no more", async () => {
  const clock = manualClock();
  const store = fleetStore({ clock });
  let send = (_node: string) => {};
  const { close } = followFleet({
    agents: {
      list: () => [{ address: "agent", port: 1, ready: true }],
      subscribe: () => () => {},
    },
    store,
    clock,
    log: () => {},
    random: () => 0,
    watch: ({ onSnapshot }) => {
      send = (node) => onSnapshot(create(NodeSnapshotSchema, { state: { node } }));
      return new Promise(() => {});
    },
  });
  cleanups.push(close);
  clock.advance(0);
  send("node-a");
  send("node-b");
  expect([...store.view().nodes.keys()]).toEqual(["node-b"]);
});

test("an agent that claims another's node changes nothing there, and its own is missing", async () => {
  const honest = await agent({ name: "node-a" });
  const thief = await agent({ name: "node-a", startedAtMs: 9_000 });
  honest.read({ "GPU-1": 50 });
  thief.read({ "GPU-1": 3 });
  const { percents, view, clock, logged, refusedReports } = follow([
    { ...honest, nodeName: "node-a" },
    { ...thief, nodeName: "node-b" },
  ]);
  await until(() => {
    clock.advance(100);
    return refusedReports() > 0 && view.nodes.size > 0;
  });
  expect(percents("node-a")).toEqual([["GPU-1", 50]]);
  expect([...view.nodes.keys()]).toEqual(["node-a"]);
  expect(view.unavailable).toMatchObject([
    {
      address: `127.0.0.1:${thief.port}`,
      node: "node-b",
      reason: expect.stringContaining("must come from that node's agent, got one of node node-b"),
    },
  ]);
  expect(logged).toContain("agent's report refused, its stream is ended");
});

test("agents are told what is demanded, also when it changes, and stay in the view", async () => {
  const requested: unknown[] = [];
  const one = await agent({ request: (readings) => requested.push(readings) });
  one.read({ "GPU-1": 10 });
  const demand = readingDemand(manualClock());
  const { clock, view, percents } = follow([one], {}, demand);
  await until(() => view.nodes.size === 1);
  expect(requested).toEqual([]);

  demand.request(["pcieTxKilobytesPerSecond"]);
  demand.request(["pcieRxKilobytesPerSecond"]);
  await until(() => {
    clock.advance(100);
    return requested.length > 0;
  });
  expect(requested[0]).toEqual(["pcieRxKilobytesPerSecond", "pcieTxKilobytesPerSecond"]);
  expect(one.connections()).toBe(2);
  expect(view.unavailable).toEqual([]);

  const before = requested.length;
  one.read({ "GPU-1": 20 });
  await until(() => percents("node-a")?.[0]?.[1] === 20);
  // Each message renews the demand, so that it lasts as long as the call.
  expect(requested.length).toBeGreaterThan(before);
});
