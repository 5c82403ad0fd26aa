import { expect, test } from "bun:test";
import { statusIntervalMs, statusWatchersMax } from "#core/limits.ts";
import { startHttp } from "#observe/http.ts";
import { type StatusNode, type StatusSource, statusViews } from "#observe/status.ts";
import { statusStream } from "#observe/status-stream.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { manualClock } from "../support/manual-clock.ts";
import { spread, usageHistory } from "../support/usage.ts";

const node = (name: string, utilizationPercent: number): StatusNode => ({
  name,
  ageMs: 300,
  sampleIntervalMs: 1_000,
  driverVersion: "580.1",
  knowsHolders: true,
  devices: [
    {
      uuid: `GPU-${name}`,
      index: 0,
      vendor: "nvidia",
      model: "H200",
      health: { state: "ok" },
      conditions: [{ kind: "power-brake", detail: "low power" }],
      readings: { utilizationPercent },
      absences: { powerInstantMilliwatts: "failed" },
      holders: [{ namespace: "ml", pod: "llm-0", container: "vllm" }],
    },
  ],
});

const secret = "http://router/?token=secret";
const rule = "sum over 1 replica: 80";
const explanation = { metric: "gpu_utilization", scope: "workload", rule, devices: [] } as const;

/** An hour in which the devices never had a pause. */
const usage = usageHistory(60, () => ({
  likelyEngine: "vllm",
  utilizationPercent: spread(97),
}));

/** One ScaledObject `ml/llm`, on what nodes the test sets. */
function setup() {
  const clock = manualClock();
  const nodes = [node("a", 80)];
  const looked: string[] = [];
  const source: StatusSource = {
    nodes: () => nodes,
    unavailable: () => [{ address: "10.0.0.9:6000", silentMs: 2_000, reason: "refused" }],
    triggers: () => [
      {
        id: "one",
        ref: { namespace: "ml", name: "llm", scalerMetadata: { endpoint: secret } },
        trigger: parseTrigger({ metricType: "gpu_utilization", targetValue: "70" }),
        value: { result: 80, rule },
        powerWatts: 1_234.5,
        warnings: [],
        refusals: new Map([["data-stale", 3]]),
        points: [{ atMs: 1, value: 80 }],
        changes: [{ atMs: 1, kind: "activated", text: "above" }],
      },
    ],
    powerWattsOf: ({ name }) => (name === "llm" ? 1_234.5 : undefined),
    usageOf: ({ name }) => (name === "llm" ? usage : undefined),
    evaluate: ({ ref }) => {
      looked.push(ref.name);
      return [{ question: "value", answer: { value: 81, explanation } }];
    },
  };
  const process = {
    version: "1.0.0",
    role: "scaler",
    nodeName: "here",
    startedAtMs: 7,
    unready: () => "waits",
  };
  const views = statusViews(source, process, clock);
  const stream = statusStream(views.status, clock);
  const server = startHttp({
    bind: "127.0.0.1",
    port: 0,
    metrics: { text: async () => "", contentType: "text/plain" },
    unready: () => undefined,
    status: { ...views, stream, page: "<style>a</style><script>b</script>" },
  });
  const get = (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`);
  const stop = async () => {
    stream.stop();
    await server.stop();
  };
  return { clock, nodes, looked, get, stream, stop, [Symbol.asyncDispose]: stop };
}

test("the status has devices, silent agents and triggers, and no metadata", async () => {
  await using http = setup();
  const response = await http.get("/api/status");
  expect(response.headers.get("cache-control")).toBe("no-store");
  const text = await response.text();
  expect(text).not.toContain("secret");
  const now = http.clock.wallMs();
  const [device] = node("a", 80).devices;
  const { vendor: _vendor, absences: _absences, ...shown } = device ?? {};
  expect(JSON.parse(text)).toEqual({
    process: {
      version: "1.0.0",
      role: "scaler",
      nodeName: "here",
      startedAtMs: 7,
      unready: "waits",
    },
    atMs: now,
    nodes: [
      {
        name: "a",
        sampledAtMs: now - 300,
        sampleIntervalMs: 1_000,
        driverVersion: "580.1",
        knowsHolders: true,
        devices: [shown],
      },
    ],
    agents: [{ address: "10.0.0.9:6000", silentSinceMs: now - 2_000, reason: "refused" }],
    triggers: [
      {
        id: "one",
        namespace: "ml",
        name: "llm",
        trigger: {
          metricName: "gpu-utilization",
          metric: "gpu_utilization",
          unit: "%",
          target: 70,
          activationMetric: "gpu_utilization",
          activationThreshold: 0,
          windowSeconds: 0,
        },
        value: { result: 80, rule },
        powerWatts: 1_234.5,
        warnings: [],
        refusals: { "data-stale": 3 },
      },
    ],
  });
});

test("the history has each trigger's points and changes", async () => {
  await using http = setup();
  expect(await (await http.get("/api/history")).json()).toEqual([
    {
      id: "one",
      points: [{ atMs: 1, value: 80 }],
      changes: [{ atMs: 1, kind: "activated", text: "above" }],
    },
  ]);
});

test("an explanation is made when it is asked for, of the object that is named", async () => {
  await using http = setup();
  const of = async (query: string) => {
    const response = await http.get(`/api/explain${query}`);
    return response.ok ? response.json() : [response.status, await response.text()];
  };
  expect(await of("?namespace=ml&name=llm")).toEqual([
    expect.objectContaining({ id: "one", name: "llm", valueExplanation: explanation }),
  ]);
  expect(http.looked).toEqual(["llm"]);
  expect(await of("?namespace=ml&name=tts")).toEqual([]);
  expect(await of("?namespace=ml")).toEqual([400, expect.stringContaining("namespace=…&name=…")]);
  expect(http.looked).toEqual(["llm"]);
});

/** The events of a stream, one at a time. */
function eventsOf(response: Response) {
  const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader();
  const decoder = new TextDecoder();
  let text = "";
  return async () => {
    while (!text.includes("\n\n")) {
      const { value, done } = await reader.read();
      if (done) return undefined;
      text += decoder.decode(value, { stream: true });
    }
    const [event = "", ...rest] = text.split("\n\n");
    text = rest.join("\n\n");
    return JSON.parse(event.replace(/^event: rows\ndata: /, ""));
  };
}

test("the events begin with everything and go on with what changed", async () => {
  await using http = setup();
  const next = eventsOf(await http.get("/api/events"));
  const first = await next();
  expect(first.nodes).toMatchObject({ changed: [{ name: "a" }], gone: [] });
  expect(first.triggers).toMatchObject({ changed: [{ id: "one" }], gone: [] });
  http.nodes.push(node("b", 5));
  http.clock.advance(statusIntervalMs);
  const second = await next();
  expect(second.process.role).toBe("scaler");
  expect(second.nodes.changed.map(({ name }: { name: string }) => name)).toContain("b");
  expect(second.triggers).toEqual({ changed: [], gone: [] });
  http.nodes.shift();
  http.clock.advance(statusIntervalMs);
  expect((await next()).nodes.gone).toEqual(["a"]);
});

test("no more than the most may watch, and one that leaves makes room", async () => {
  await using http = setup();
  const leave = new AbortController();
  const { port } = new URL((await http.get("/api/status")).url);
  const watch = (signal?: AbortSignal) =>
    fetch(`http://127.0.0.1:${port}/api/events`, signal && { signal });
  const first = await watch(leave.signal);
  await eventsOf(first)();
  for (let count = 1; count < statusWatchersMax; count += 1) await watch();
  expect((await watch()).status).toBe(503);
  leave.abort();
  let status = 503;
  while (status === 503) status = (await watch()).status;
  expect(status).toBe(200);
});

test("the events end when the process stops", async () => {
  const http = setup();
  const next = eventsOf(await http.get("/api/events"));
  await next();
  await http.stop();
  expect(await next().catch(() => undefined)).toBeUndefined();
});

test("advice has what was observed of an object, and what is recommended, without metadata", async () => {
  await using http = setup();
  const response = await http.get("/api/advice?namespace=ml&name=llm");
  const text = await response.text();
  expect(text).not.toContain("secret");
  const [advice, ...more] = JSON.parse(text);
  expect(more).toEqual([]);
  expect(advice).toMatchObject({
    namespace: "ml",
    name: "llm",
    engine: "vllm",
    triggers: [{ metric: "gpu_utilization", target: 70, metricType: "AverageValue" }],
    summary: { observedMinutes: 60, busyMinutes: 60 },
    recommendations: [
      {
        code: "utilization-saturated",
        evidence: { saturatedMinutes: 60, knownMinutes: 60 },
        metadata: { profile: "llm-concurrency" },
      },
    ],
  });
  expect(await (await http.get("/api/advice")).json()).toEqual([advice]);
});

test("advice is empty for what is not known, and needs both names or none", async () => {
  await using http = setup();
  expect(await (await http.get("/api/advice?namespace=ml&name=tts")).json()).toEqual([]);
  for (const query of ["namespace=ml", "name=llm", "namespace=&name=llm"]) {
    const response = await http.get(`/api/advice?${query}`);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("?namespace=…&name=…");
  }
});
