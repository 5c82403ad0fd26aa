import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { type AgentLinkOptions, agentLink } from "#fleet/agent-link.ts";
import { type NodeSnapshot, NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { WatchAgent } from "#telemetry/watch.ts";
import { manualClock } from "../support/manual-clock.ts";

const named = create(NodeSnapshotSchema, { state: { node: "node-a" } });

/** A link whose agent is played by the test. */
function link(watch: WatchAgent, options: Partial<AgentLinkOptions> = {}) {
  const clock = manualClock();
  const reported: string[] = [];
  const refusals: string[] = [];
  const made = agentLink({
    endpoint: { address: "node-a", port: 1, ready: true },
    clock,
    random: () => 1,
    watch,
    firstPauseMs: 0,
    demanded: () => [],
    onReport: ({ report }) => reported.push(report.name),
    onRefused: ({ message }) => refusals.push(message),
    ...options,
  });
  /** The end of a call is a promise: it needs a turn before the next pause begins. */
  const pass = async (ms: number) => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...made, clock, reported, refusals, pass };
}

const refused: WatchAgent = () => Promise.reject(new Error("refused"));

/** Milliseconds at which the agent is called in an hour. */
async function callsOf(watch: WatchAgent, hours = 1): Promise<number[]> {
  const calls: number[] = [];
  const { clock, pass, close } = link((call) => {
    calls.push(clock.monotonicMs());
    return watch(call);
  });
  await pass(0);
  for (let passedMs = 0; passedMs < hours * 3_600_000; passedMs += 500) await pass(500);
  close();
  return calls;
}

test("an agent that refuses is called after pauses that double, up to half a minute", async () => {
  const calls = await callsOf(refused);
  const pausesMs = calls.slice(1).map((atMs, nth) => atMs - (calls[nth] ?? 0));
  expect(pausesMs.slice(0, 8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  expect(calls.length).toBeGreaterThan(110);
  expect(calls.length).toBeLessThan(130);
});

test("an agent that reported is called again after the shortest pause", async () => {
  const calls = await callsOf(async ({ onSnapshot }) => onSnapshot(named), 0.01);
  expect(calls.slice(0, 4)).toEqual([0, 500, 1_000, 1_500]);
});

test("an agent that is closed is never called again", async () => {
  let calls = 0;
  const { pass, close, outage } = link((call) => {
    calls += 1;
    return refused(call);
  });
  await pass(1);
  expect(outage()).toEqual({ sinceMs: 0, reason: "refused" });
  const before = calls;
  close();
  await pass(120_000);
  expect(calls).toBe(before);
});

test("a connection that was just opened has its time, however long the agent was away", async () => {
  let isUp = false;
  const aborted: string[] = [];
  const { pass, check } = link(({ signal }) => {
    if (!isUp) return Promise.reject(new Error("refused"));
    signal.addEventListener("abort", () => aborted.push(String(signal.reason)));
    return new Promise(() => {});
  });
  for (let second = 0; second < 40; second += 1) await pass(1_000);
  isUp = true;
  await pass(30_000);
  const atMs = 9_000;
  check();
  await pass(atMs);
  expect(aborted).toEqual([]);
  await pass(30_000);
  check();
  expect(aborted).toEqual(["Error: connected, and silent for 10000 ms"]);
});

test("a message of a connection that was given up is not believed", async () => {
  const sends: ((snapshot: NodeSnapshot) => void)[] = [];
  const { pass, check, reported, latest } = link(({ onSnapshot }) => {
    sends.push(onSnapshot);
    return new Promise(() => {});
  });
  await pass(1);
  sends[0]?.(named);
  expect(reported).toEqual(["node-a"]);
  await pass(10_000);
  check();
  sends[0]?.(create(NodeSnapshotSchema, { state: { node: "node-b" } }));
  expect(reported).toEqual(["node-a"]);
  expect(latest()?.report.name).toBe("node-a");
});

test("an agent that fell silent is out since its last message", async () => {
  let send = (_snapshot: NodeSnapshot) => {};
  const { pass, outage } = link(({ onSnapshot }) => {
    send = onSnapshot;
    return new Promise(() => {});
  });
  await pass(700);
  expect(outage()).toEqual({ sinceMs: 0, reason: "not connected yet" });
  send(named);
  await pass(9_999);
  expect(outage()).toBeUndefined();
  await pass(1);
  expect(outage()).toEqual({ sinceMs: 700, reason: "connected, and nothing comes" });
});

test("a report of another node ends its stream and is out at once, until the right one comes", async () => {
  const sends: ((node: string) => void)[] = [];
  const { pass, outage, reported, refusals, latest } = link(
    ({ onSnapshot }) =>
      new Promise((_resolve, reject) => {
        sends.push((node) => {
          try {
            onSnapshot(create(NodeSnapshotSchema, { state: { node } }));
          } catch (error) {
            reject(error);
          }
        });
      }),
    { endpoint: { address: "node-a", port: 1, ready: true, nodeName: "node-a" } },
  );
  await pass(100);
  sends[0]?.("node-a");
  await pass(3_000);
  sends[0]?.("node-b");
  await pass(0);
  const reason =
    "Cannot use the report of node node-b: it must come from that node's agent, got one of node " +
    "node-a; see that its agent is of this version and alone at its address";
  expect(outage()).toEqual({ sinceMs: 100, reason });
  expect(refusals).toEqual([reason]);
  expect(reported).toEqual(["node-a"]);
  expect(latest()?.report.name).toBe("node-a");

  await pass(30_000);
  expect(sends).toHaveLength(2);
  sends[1]?.("node-a");
  expect(outage()).toBeUndefined();
  expect(refusals).toHaveLength(1);
});

test("another demand opens the stream again at once, and the node is not out meanwhile", async () => {
  let demanded: readonly ReadingName[] = [];
  const calls: (readonly ReadingName[] | undefined)[] = [];
  const { pass, outage, renew, latest, close } = link(
    ({ demanded: told, signal, onSnapshot }) => {
      calls.push(told);
      if (calls.length === 1) onSnapshot(named);
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      );
    },
    { demanded: () => demanded },
  );
  await pass(0);
  await pass(3_000);
  renew();
  await pass(0);
  await pass(0);
  expect(calls).toEqual([[]]);

  demanded = ["pcieTxKilobytesPerSecond"];
  renew();
  await pass(0);
  await pass(0);
  expect(calls).toEqual([[], ["pcieTxKilobytesPerSecond"]]);
  expect(outage()).toBeUndefined();
  expect(latest()?.report.name).toBe("node-a");
  renew();
  await pass(0);
  await pass(60_000);
  expect(calls).toHaveLength(2);

  demanded = [];
  close();
  renew();
  await pass(60_000);
  expect(calls).toHaveLength(2);
});
