import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { type ForeignClient, foreignClient } from "../foreign/client.ts";
import { heldServer, until } from "../rpc/stand-in.ts";
import { manualClock } from "../support/manual-clock.ts";

const scaler = "externalscaler.ExternalScaler";
let client: ForeignClient;
beforeAll(() => {
  client = foreignClient();
});
afterAll(() => client[Symbol.asyncDispose]());

const stale = (): never => {
  throw new Fault("data-stale", "Cannot answer: no reading within 5000 ms; see the agent's log", {
    limitMs: 5_000,
  });
};
const bug = (): never => {
  throw new TypeError("secret is not a function");
};

describe("unary calls", () => {
  test("IsActive gives the activity of the ScaledObject that asks", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ active: () => true });
    const ref = { name: "chat", namespace: "prod", scalerMetadata: { targetValue: "5" } };
    const { code, answer } = await channel.unary(scaler, "IsActive", ref);
    expect({ code, answer }).toEqual({ code: "OK", answer: { result: true } });
    expect(held.refs).toMatchObject([{ name: "chat", namespace: "prod" }]);
  });

  test.each([
    ["80", { targetSize: "80", targetSizeFloat: 80 }],
    ["70.25", { targetSize: "71", targetSizeFloat: 70.25 }],
    ["0.001", { targetSize: "1", targetSizeFloat: 0.001 }],
    ["1000000000000", { targetSize: "1000000000000", targetSizeFloat: 1e12 }],
  ])("GetMetricSpec with target %s, while all data is gone", async (targetValue, sizes) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ value: stale, active: stale });
    held.setServing(false);
    const result = await channel.unary(scaler, "GetMetricSpec", {
      scalerMetadata: { targetValue },
    });
    const spec = { metricName: "gpu-utilization", ...sizes };
    expect(result).toEqual({ code: "OK", answer: { metricSpecs: [spec] } });
  });

  test.each([
    [0, "0"],
    [0.3, "1"],
    [276, "276"],
    [276.5, "277"],
    [1e15, "1000000000000000"],
  ])("GetMetrics with the value %d", async (value, metricValue) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ value: () => value });
    const metricName = "gpu-utilization";
    const result = await channel.unary(scaler, "GetMetrics", { scaledObjectRef: {}, metricName });
    const metricValues = [{ metricName, metricValue, metricValueFloat: value }];
    expect(result).toEqual({ code: "OK", answer: { metricValues } });
  });

  test.each([
    ["gpu-utilization", "gpu-utilization"],
    ["GPU-Utilization", "GPU-Utilization"],
    ["s0-gpu-utilization", "s0-gpu-utilization"],
    ["S12-GPU-Utilization", "S12-GPU-Utilization"],
    ["", "gpu-utilization"],
    ["gpu_utilization", "gpu_utilization"],
    ["gpu-gpu-utilization", "gpu-gpu-utilization"],
    ["s0-gpu-gpu-utilization", "s0-gpu-gpu-utilization"],
  ])("GetMetrics gives back the name %p as %p", async (metricName, given) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const { answer } = await channel.unary(scaler, "GetMetrics", {
      scaledObjectRef: {},
      metricName,
    });
    expect(answer).toMatchObject({ metricValues: [{ metricName: given }] });
  });

  test("GetMetrics takes a name that looks prefixed for what it is", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const scaledObjectRef = { scalerMetadata: { metricName: "s1-queue" } };
    const ask = (metricName: string) =>
      channel.unary(scaler, "GetMetrics", { scaledObjectRef, metricName });
    expect((await ask("s1-queue")).code).toBe("OK");
    expect((await ask("s0-s1-queue")).code).toBe("OK");
    expect((await ask("queue")).code).toBe("INVALID_ARGUMENT");
  });

  test.each(["s0-gpu-power-draw", "gpu-s0-gpu-utilization", "s-gpu-utilization"])(
    "GetMetrics refuses another metric's name, %p",
    async (metricName) => {
      await using held = await heldServer();
      const channel = await client.connect(held.address);
      const result = await channel.unary(scaler, "GetMetrics", { scaledObjectRef: {}, metricName });
      expect(result).toEqual({
        code: "INVALID_ARGUMENT",
        details:
          `Cannot answer for metric "${metricName}": this trigger's metric is named ` +
          '"gpu-utilization"; ask for the name that GetMetricSpec gives',
      });
    },
  );

  test("GetMetrics without a ScaledObject", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    expect(await channel.unary(scaler, "GetMetrics")).toEqual({
      code: "INVALID_ARGUMENT",
      details:
        "Cannot answer GetMetrics: the call has no scaledObjectRef; " +
        "send it with the trigger's scalerMetadata",
    });
  });

  test.each(["IsActive", "GetMetricSpec"])("%s with bad metadata", async (method) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const result = await channel.unary(scaler, method, { scalerMetadata: { aggregration: "max" } });
    const details = "Cannot use trigger metadata: aggregration: unknown key";
    expect(result).toEqual({ code: "INVALID_ARGUMENT", details });
  });

  test("what is unknown is an error, with the fault's own words, and no log line", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ value: stale, active: stale });
    const details = "Cannot answer: no reading within 5000 ms; see the agent's log";
    const metrics = await channel.unary(scaler, "GetMetrics", { scaledObjectRef: {} });
    expect(metrics).toEqual({ code: "UNAVAILABLE", details });
    expect(await channel.unary(scaler, "IsActive")).toEqual({ code: "UNAVAILABLE", details });
    expect(held.logged).toEqual([]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1])("the value %d is a bug", async (value) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ value: () => value });
    const { code } = await channel.unary(scaler, "GetMetrics", { scaledObjectRef: {} });
    expect(code).toBe("INTERNAL");
  });

  test("a bug is INTERNAL to the caller and has its stack in the log", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ active: bug });
    const method = `${scaler}/IsActive`;
    const details = `Cannot answer ${method}: a bug in the scaler; its log has the details`;
    expect(await channel.unary(scaler, "IsActive")).toEqual({ code: "INTERNAL", details });
    expect(held.logged).toEqual([
      {
        level: "error",
        event: "call failed by a bug",
        facts: { method, stack: expect.stringContaining("secret is not a function\n    at ") },
      },
    ]);
  });

  test.each([
    ["", "ü"],
    // One of the two is cut in the middle of a character.
    ["", "😀"],
    ["x", "😀"],
  ])("a fault's text is cut to what fits in a header (%p and %p)", async (first, character) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const { code, details } = await channel.unary(scaler, "IsActive", {
      scalerMetadata: { [first + character.repeat(50_000)]: "" },
    });
    expect(code).toBe("INVALID_ARGUMENT");
    expect(details).toHaveLength(2_049);
    expect(held.logged).toEqual([]);
  });
});

describe("StreamIsActive", () => {
  test("sends at once and at each change, not in between", async () => {
    await using held = await heldServer({ pushSpacingMs: 1 });
    const channel = await client.connect(held.address);
    await using stream = await channel.stream(scaler, "StreamIsActive", { name: "chat" });
    expect(await stream.next()).toEqual({ result: false });
    const asked = held.refs.length;
    held.set({});
    await until(() => held.refs.length > asked, "the stream looked at the answer again");
    held.set({ active: () => true });
    expect(await stream.next()).toEqual({ result: true });
    held.set({ active: () => false });
    expect(await stream.next()).toEqual({ result: false });
    expect(stream.waiting()).toEqual([]);
  });

  test("repeats itself every pollIntervalSeconds", async () => {
    const clock = manualClock();
    await using held = await heldServer({ clock });
    const channel = await client.connect(held.address);
    const scalerMetadata = { pollIntervalSeconds: "10" };
    await using stream = await channel.stream(scaler, "StreamIsActive", { scalerMetadata });
    expect(await stream.next()).toEqual({ result: false });
    clock.advance(9_999);
    await channel.unary(scaler, "IsActive");
    expect(stream.waiting()).toEqual([]);
    clock.advance(1);
    expect(await stream.next()).toEqual({ result: false });
  });

  test("repeats itself again and again", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    held.set({ active: () => true });
    const scalerMetadata = { pollIntervalSeconds: "0.05" };
    await using stream = await channel.stream(scaler, "StreamIsActive", { scalerMetadata });
    for (let times = 0; times < 4; times++) expect(await stream.next()).toEqual({ result: true });
  });

  test("is silent while the answer is unknown, and speaks with the first reading", async () => {
    await using held = await heldServer({ pushSpacingMs: 1 });
    const channel = await client.connect(held.address);
    held.set({ active: stale });
    await using stream = await channel.stream(scaler, "StreamIsActive");
    await until(() => held.open.streams === 1, "the stream is open");
    held.set({ active: () => true });
    expect(await stream.next()).toEqual({ result: true });

    held.set({ active: stale });
    await until(() => held.refs.length >= 3, "the stream saw that the answer is unknown");
    held.set({ active: () => true });
    expect(await stream.next()).toEqual({ result: true });
    expect(held.logged).toEqual([]);
  });

  test("many changes in a moment cost few looks", async () => {
    await using held = await heldServer({ pushSpacingMs: 50 });
    const channel = await client.connect(held.address);
    await using stream = await channel.stream(scaler, "StreamIsActive");
    await stream.next();
    const before = held.refs.length;
    for (let change = 0; change < 1_000; change++) held.set({ active: () => change === 999 });
    expect(await stream.next()).toEqual({ result: true });
    expect(held.refs.length - before).toBeLessThanOrEqual(2);
  });

  test("cancelling frees the stream and what it listens to", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const stream = await channel.stream(scaler, "StreamIsActive");
    await stream.next();
    expect(held.listeners.size).toBe(1);
    await stream.cancel();
    expect((await stream.ended).code).toBe("CANCELLED");
    await until(() => held.open.streams === 0 && held.listeners.size === 0, "all is free");
    expect(held.finished).toMatchObject([
      { method: `${scaler}/StreamIsActive`, code: "CANCELLED" },
    ]);
    expect(held.logged).toEqual([]);
  });

  test("a client that vanishes frees its streams", async () => {
    await using held = await heldServer();
    await using mortal = foreignClient();
    const channel = await mortal.connect(held.address);
    const stream = await channel.stream(scaler, "StreamIsActive");
    await stream.next();
    await mortal[Symbol.asyncDispose]();
    await until(() => held.open.streams === 0 && held.open.connections === 0, "all is free");
    expect(held.listeners.size).toBe(0);
    expect(held.logged).toEqual([]);
  });

  test("a deadline ends it without a log line", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const stream = await channel.stream(scaler, "StreamIsActive", {}, { deadlineMs: 200 });
    await stream.next();
    expect((await stream.ended).code).toBe("DEADLINE_EXCEEDED");
    await until(() => held.open.streams === 0 && held.listeners.size === 0, "all is free");
    expect(held.logged).toEqual([]);
  });

  test.each([
    [
      "a fault that lasts",
      () => {
        const text = "Cannot answer: scope workload needs the Kubernetes API; use scope node";
        throw new Fault("scope-unavailable", text, { scope: "workload" });
      },
      "FAILED_PRECONDITION",
      /needs the Kubernetes API/,
    ],
    [
      "a scope that is forbidden",
      () => {
        const text = "Cannot answer: --allow-scope allows workload; set metadata scope";
        throw new Fault("scope-forbidden", text, { scope: "node", allowed: ["workload"] });
      },
      "PERMISSION_DENIED",
      /--allow-scope/,
    ],
    ["a bug", bug, "INTERNAL", /a bug in the scaler/],
  ])("%s ends it", async (_why, active, code, words) => {
    await using held = await heldServer({ pushSpacingMs: 1 });
    const channel = await client.connect(held.address);
    const stream = await channel.stream(scaler, "StreamIsActive");
    await stream.next();
    held.set({ active });
    expect(await stream.ended).toEqual({ code, details: expect.stringMatching(words) });
  });
});

describe("StreamMetricSpec", () => {
  test("sends the spec at once and stays open", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const scalerMetadata = { targetValue: "5" };
    await using stream = await channel.stream(scaler, "StreamMetricSpec", { scalerMetadata });
    const spec = { metricName: "gpu-utilization", targetSize: "5", targetSizeFloat: 5 };
    expect(await stream.next()).toEqual({ metricSpecs: [spec] });
    expect(held.open.streams).toBe(1);
  });

  test.each(["StreamIsActive", "StreamMetricSpec"])("%s with bad metadata", async (method) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const stream = await channel.stream(scaler, method, { scalerMetadata: { targte: "1" } });
    const details = "Cannot use trigger metadata: targte: unknown key";
    expect(await stream.ended).toEqual({ code: "INVALID_ARGUMENT", details });
  });
});

describe("names", () => {
  const tooLong = [
    ["namespace", "n".repeat(64)],
    ["name", "o".repeat(254)],
  ] as const;
  const refused = [
    ...tooLong,
    ["namespace", "a.b"],
    ["namespace", "../ml"],
    ["name", "Llm"],
    ["name", "a..b"],
    ["name", "a\nb"],
  ] as const;

  test.each(refused)("no unary call takes the %s %j", async (field, text) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const ref = { [field]: text };
    const results = [
      await channel.unary(scaler, "IsActive", ref),
      await channel.unary(scaler, "GetMetricSpec", ref),
      await channel.unary(scaler, "GetMetrics", { scaledObjectRef: ref }),
    ];
    const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
    const details = expect.stringContaining(`Cannot answer for ${field} ${shown}: `);
    expect(results).toEqual(Array(3).fill({ code: "INVALID_ARGUMENT", details }));
    expect(held.refs).toEqual([]);
  });

  test.each(["StreamIsActive", "StreamMetricSpec"])("no %s takes one too long", async (method) => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    for (const [field, text] of tooLong) {
      const stream = await channel.stream(scaler, method, { [field]: text });
      const details = expect.stringContaining(`Cannot answer for ${field} "`);
      expect(await stream.ended).toEqual({ code: "INVALID_ARGUMENT", details });
    }
    expect(held.refs).toEqual([]);
  });

  test("as long as Kubernetes has them are taken", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const ref = { namespace: "n".repeat(63), name: `${"o".repeat(250)}.1a` };
    expect((await channel.unary(scaler, "IsActive", ref)).code).toBe("OK");
    expect(held.refs).toMatchObject([ref]);
  });
});
