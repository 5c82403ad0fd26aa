import { afterEach, describe, expect, test } from "bun:test";
import { apiPageItems, apiRetryLeastMs, apiRetryMostMs, apiSilentMs } from "#core/limits.ts";
import { type Informer, informer } from "#kubernetes/informer.ts";
import {
  inClusterClient,
  requestsOf,
  startFake,
  stopAll,
  until,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { podObject } from "../fake-kubernetes/objects.ts";
import type { FakeKubernetes } from "../fake-kubernetes/server.ts";
import { type ManualClock, manualClock } from "../support/manual-clock.ts";

afterEach(stopAll);

const secure = { tls: true, token: "first" };
const path = "/api/v1/namespaces/default/pods";
const pod = (name: string, labels = {}) => podObject({ name, labels });

interface StartedInformer {
  readonly fake: FakeKubernetes;
  readonly clock: ManualClock;
  readonly pods: Informer<string>;
  /** Names of the pods, in the order in which they came. */
  readonly names: () => readonly string[];
  /** Every change, and `listed`. */
  readonly changes: readonly string[];
  readonly log: readonly string[];
  readonly lists: () => number;
  readonly watches: () => number;
}

/** Copies the name of every pod that is not labelled `secret`; without jitter unless asked for. */
async function start(
  fake: FakeKubernetes,
  { random = 0, labelSelector }: { random?: number; labelSelector?: string } = {},
): Promise<StartedInformer> {
  const clock = manualClock();
  const { client } = await inClusterClient(fake, clock);
  const [changes, log]: [string[], string[]] = [[], []];
  const pods = informer({
    client,
    clock,
    path,
    query: { labelSelector },
    random: () => random,
    log: (level, event) => log.push(`${level} ${event}`),
    transform: (object) => {
      const { metadata } = object as ReturnType<typeof podObject>;
      if (metadata.labels?.["broken"] !== undefined) throw new TypeError("spec is\nundefined");
      return metadata.labels?.["secret"] === undefined ? (metadata.name ?? "nameless") : undefined;
    },
    changed: ({ key, item, before }) => changes.push(`${key}: ${before} to ${item}`),
    listed: () => changes.push("listed"),
  });
  whenOver(pods.stop);
  return {
    fake,
    clock,
    pods,
    changes,
    log,
    names: () => [...pods.items.values()],
    lists: () => requestsOf(fake, "list").length,
    watches: () => requestsOf(fake, "watch").length,
  };
}

/** With pod `a`, whose watch is open. */
async function watching(options?: Parameters<typeof start>[1]) {
  const fake = await startFake(secure);
  fake.apply(pod("a"));
  const started = await start(fake, options);
  await until(() => fake.openWatches() === 1);
  // Only what comes through a watch proves that the client has it, too.
  started.clock.advance(1);
  fake.bookmark();
  await until(() => started.pods.ageMs() === 0);
  return { ...started, remove: (name: string) => fake.remove({ ...ref, name }) };
}
const ref = { kind: "Pod", namespace: "default" };

describe("an informer", () => {
  test("copies a list that comes in pages", async () => {
    const fake = await startFake(secure);
    const names = Array.from({ length: apiPageItems * 2 + 1 }, (_, index) => `pod-${index}`);
    fake.apply(...names.map((name) => pod(name)));
    const { pods, lists, changes } = await start(fake);
    expect(pods.synced()).toBe(false);
    expect(pods.ageMs()).toBe(Number.POSITIVE_INFINITY);
    await until(pods.synced);
    expect(pods.items.size).toBe(names.length);
    expect(lists()).toBe(3);
    expect(changes).toHaveLength(names.length + 1);
  });

  test("notifies of what is new, another or gone, and of nothing else", async () => {
    const { fake, pods, names, changes, remove } = await watching();
    fake.apply(pod("b"), pod("a", { more: "heartbeat" }), pod("hidden", { secret: "" }));
    fake.apply(pod("b", { secret: "" }));
    remove("hidden");
    remove("a");
    await until(() => pods.items.size === 0);
    expect(changes).toEqual([
      "default/a: undefined to a",
      "listed",
      "default/b: undefined to b",
      "default/b: b to undefined",
      "default/a: a to undefined",
    ]);
    expect(names()).toEqual([]);
  });

  test("leaves out what cannot be read, in a list and in a watch, and keeps the others", async () => {
    const fake = await startFake(secure);
    fake.apply(pod("a"), pod("b", { broken: "" }), pod("c"));
    const { pods, names, log, lists } = await start(fake);
    await until(pods.synced);
    expect(names()).toEqual(["a", "c"]);
    await until(() => fake.openWatches() === 1);
    fake.apply(pod("a", { broken: "" }), pod("d"));
    await until(() => pods.items.has("default/d"));
    expect(names()).toEqual(["c", "d"]);
    expect(lists()).toBe(1);
    expect(log).toEqual(Array(2).fill("warn kubernetes object cannot be read, and is left out"));
    expect(pods.failure()).toBeUndefined();
  });

  test("lists and watches with its query, and asks for an end of the watch", async () => {
    const { fake } = await watching({ random: 0.5, labelSelector: "app=llm" });
    const [list] = requestsOf(fake, "list");
    expect(list?.query.get("labelSelector")).toBe("app=llm");
    const [watch] = requestsOf(fake, "watch");
    expect(watch?.query.get("labelSelector")).toBe("app=llm");
    expect(watch?.query.get("allowWatchBookmarks")).toBe("true");
    // Between five and ten minutes, so that load spreads over API servers.
    expect(watch?.query.get("timeoutSeconds")).toBe("450");
  });

  test("knows how long ago the API server confirmed its copy", async () => {
    const { fake, clock, pods } = await watching();
    expect(pods.ageMs()).toBe(0);
    clock.advance(60_000);
    expect(pods.ageMs()).toBe(60_000);
    fake.bookmark();
    await until(() => pods.ageMs() === 0);
    expect([...pods.items.keys()]).toEqual(["default/a"]);
  });

  test("stops its watch, and its wait after a failure", async () => {
    const { fake, pods, log, watches } = await watching();
    pods.stop();
    await until(() => fake.openWatches() === 0);
    await Bun.sleep(20);
    expect(watches()).toBe(1);
    expect(log).toEqual([]);

    const failing = await startFake(secure);
    failing.fail({ path: /pods/, status: 500 });
    const waiting = await start(failing);
    await until(() => waiting.pods.failure() !== undefined);
    waiting.pods.stop();
    waiting.clock.advance(apiRetryMostMs);
    await Bun.sleep(20);
    expect(waiting.lists()).toBe(1);
  });
});

describe("a watch", () => {
  test("goes on from where it broke off, without a list", async () => {
    const { fake, clock, pods, names, log, lists, remove } = await watching();
    fake.disconnect();
    await until(() => pods.failure() !== undefined);
    fake.apply(pod("b"));
    remove("a");
    expect(names()).toEqual(["a"]);
    clock.advance(apiRetryLeastMs);
    await until(() => names().join() === "b");
    expect(lists()).toBe(1);
    expect(pods.failure()).toBeUndefined();
    expect(log).toEqual(["warn kubernetes failed", "info kubernetes answers again"]);
  });

  test.each(["event", "status"] as const)(
    "that gets 410 as %s begins anew with a list",
    async (how) => {
      const { fake, clock, pods, names, changes, lists, remove } = await watching();
      await fake.goAway();
      await until(() => pods.failure() !== undefined);
      remove("a");
      fake.apply(pod("b"));
      fake.compact(how);
      await fake.comeBack();
      clock.advance(apiRetryLeastMs);
      await until(() => pods.failure()?.message.includes("the list begins anew") === true);
      clock.advance(apiRetryLeastMs * 2);
      await until(() => names().join() === "b");
      expect(lists()).toBe(2);
      expect(changes.slice(2)).toEqual([
        "default/b: undefined to b",
        "default/a: a to undefined",
        "listed",
      ]);
    },
  );

  test("that gets 410 after a long outage begins anew without the outage's long pause", async () => {
    const { fake, clock, lists, watches } = await watching();
    fake.fail({ path: /pods$/, status: 500 });
    fake.disconnect();
    for (const [failed, pauseMs] of [500, 1_000, 2_000, 4_000, 8_000].entries()) {
      await Bun.sleep(20);
      clock.advance(pauseMs);
      await until(() => watches() === failed + 2);
    }
    await Bun.sleep(20);
    fake.apply(pod("b"));
    fake.compact();
    fake.fail();
    clock.advance(apiRetryMostMs / 2);
    await until(() => watches() === 7);
    await Bun.sleep(20);
    expect(lists()).toBe(1);
    clock.advance(apiRetryLeastMs / 2);
    await until(() => lists() === 2);
  });

  test("that gets 410 after every list is begun anew after longer and longer pauses", async () => {
    const { fake, clock, lists, watches } = await watching();
    for (const [listed, pauseMs] of [500, 1_000, 2_000, 4_000].entries()) {
      fake.failWatches(410, "too old resource version");
      await until(() => fake.openWatches() === 0);
      clock.advance(pauseMs - 1);
      await Bun.sleep(20);
      expect(lists()).toBe(listed + 1);
      clock.advance(1);
      await until(() => lists() === listed + 2 && watches() === listed + 2);
      await until(() => fake.openWatches() === 1);
    }
  });

  test("that gets any other error is opened again", async () => {
    const { fake, clock, pods, lists, watches } = await watching();
    fake.failWatches(500, "etcd is away");
    await until(() => pods.failure() !== undefined);
    expect(pods.failure()?.message).toBe(
      `Cannot watch ${path}: etcd is away; the watch is opened again`,
    );
    clock.advance(apiRetryLeastMs);
    await until(() => watches() === 2);
    expect(lists()).toBe(1);
  });

  test("survives compaction of what bookmarks have passed", async () => {
    const { fake, clock, pods, names, lists } = await watching();
    fake.compact();
    clock.advance(60_000);
    fake.bookmark();
    await until(() => pods.ageMs() === 0);
    fake.disconnect();
    await until(() => pods.failure() !== undefined);
    fake.apply(pod("b"));
    clock.advance(apiRetryLeastMs);
    await until(() => names().join() === "a,b");
    expect(lists()).toBe(1);
  });

  test("that stays silent is opened again at once, and that is no failure", async () => {
    const { clock, pods, log, watches } = await watching();
    clock.advance(apiSilentMs);
    await until(() => watches() === 2 && pods.ageMs() === 0);
    expect(log).toEqual([]);
    expect(pods.failure()).toBeUndefined();
  });

  test("that ends at once is opened after longer and longer pauses", async () => {
    const { fake, clock, watches } = await watching();
    fake.setWatchLimit(0);
    fake.disconnect();
    for (const [opened, pauseMs] of [500, 1_000, 2_000, 4_000].entries()) {
      await until(() => watches() === opened + 1 && fake.openWatches() === 0);
      // The client hears of the end a moment after the server wrote it.
      await Bun.sleep(20);
      clock.advance(pauseMs - 1);
      await Bun.sleep(5);
      expect(watches()).toBe(opened + 1);
      clock.advance(1);
    }
    await until(() => watches() === 5);
  });

  test("that lasted begins the next pauses from the shortest", async () => {
    const { fake, clock, pods, watches } = await watching();
    for (let round = 1; round <= 3; round += 1) {
      fake.disconnect();
      await until(() => pods.failure() !== undefined);
      clock.advance(apiRetryLeastMs / 2);
      await until(() => watches() === round + 1 && pods.failure() === undefined);
      fake.apply(pod(`another-${round}`));
      await until(() => pods.items.size === round + 1);
    }
  });
});

describe("the API server", () => {
  test("that fails is asked again after longer and longer pauses", async () => {
    const fake = await startFake(secure);
    fake.fail({ path: /pods/, status: 500 });
    const { clock, log, lists, pods } = await start(fake);
    for (const [asked, pauseMs] of [500, 1_000, 2_000].entries()) {
      await until(() => lists() === asked + 1);
      await Bun.sleep(20);
      clock.advance(pauseMs - 1);
      await Bun.sleep(5);
      expect(lists()).toBe(asked + 1);
      clock.advance(1);
    }
    await until(() => lists() === 4);
    expect(log).toEqual(["warn kubernetes failed"]);
    expect(pods.synced()).toBe(false);
  });

  test("that is busy is asked again when it said", async () => {
    const fake = await startFake(secure);
    fake.fail({ path: /pods/, status: 429, retryAfterSeconds: 20 });
    const { clock, lists, pods } = await start(fake);
    await until(() => pods.failure() !== undefined);
    clock.advance(19_999);
    await Bun.sleep(20);
    expect(lists()).toBe(1);
    clock.advance(1);
    await until(() => lists() === 2);
  });
});
