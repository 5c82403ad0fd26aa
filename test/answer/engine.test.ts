import { describe, expect, test } from "bun:test";
import { readNeeds, readsEngines } from "#answer/engine.ts";
import { Fault } from "#core/fault.ts";
import { bucketLayoutsMax, missingGraceMs } from "#core/limits.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { workload } from "./cluster.ts";
import {
  endpoint,
  latency,
  type Shown,
  serving,
  share,
  unusedEngines,
  withEngines,
} from "./engines.ts";
import { faultOf } from "./faults.ts";

const queue = { metricType: "queue_depth", targetValue: "5" };
/** What waits and runs is also what tells of use. */
const page = (queue_depth: number, running_requests = 0) => ({
  queue_depth,
  running_requests,
  activity: queue_depth + running_requests,
});

describe("a queue in the workload's pods", () => {
  test("adds up over the replicas, and the explanation says what was read where", () => {
    const { value } = withEngines({
      pods: [serving(1), serving(2)],
      pages: { "10.0.0.1": page(3), "10.0.0.2": page(4, 2) },
    });
    const answer = value(queue);
    expect(answer.value).toBe(7);
    expect(answer.explanation).toMatchObject({
      scope: "workload",
      rule: expect.stringContaining("sum over 2 of 2 replicas of queue_depth in requests"),
      devices: [],
      engines: [
        { target: "http://10.0.0.1", engine: "vllm", ageMs: 1_500, pod: "llm-1", value: 3 },
        { target: "http://10.0.0.2", engine: "vllm", ageMs: 1_500, pod: "llm-2", value: 4 },
      ],
      workload: {
        pods: [
          { name: "llm-1", value: 3 },
          { name: "llm-2", value: 4 },
        ],
      },
    });
  });

  test("is a true 0 and inactive without pods", () => {
    const { value, activity } = withEngines({ pods: [] });
    expect(value(queue).value).toBe(0);
    expect(activity(queue).active).toBe(false);
  });

  test("is not asked of a pod that warms up", () => {
    const warming = serving(2, { state: "warming" });
    const { value, reads } = withEngines({
      pods: [serving(1), warming],
      pages: { "10.0.0.1": page(3) },
    });
    expect(value(queue).value).toBe(3);
    const asked = reads.map(({ spec: { at } }) => "podAddress" in at && at.podAddress);
    expect(new Set(asked)).toEqual(new Set(["10.0.0.1"]));
  });

  test.each(["pending", "unreachable", "no-samples"] as const)(
    "%s in one of three: at least the target for each replica, for five minutes the floor, then the target",
    (reason) => {
      const cluster = withEngines({
        pods: [serving(1), serving(2), serving(3)],
        pages: { "10.0.0.1": page(1), "10.0.0.2": page(1), "10.0.0.3": { queue_depth: reason } },
      });
      const { value, explanation } = cluster.value(queue);
      expect(value).toBe(15);
      expect(explanation.workload?.pods[2]).toMatchObject({ state: "missing", missingMs: 0 });
      expect(explanation.engines?.[2]?.reason).toContain(reason);
      cluster.pass(missingGraceMs);
      expect(cluster.value(queue).value).toBe(15);
      cluster.pass(1);
      expect(cluster.value(queue).value).toBe(7);
    },
  );

  test("known of fewer than half is an error", () => {
    const { value, activity } = withEngines({
      pods: [serving(1), serving(2), serving(3)],
      pages: {
        "10.0.0.1": page(0),
        "10.0.0.2": { queue_depth: "pending" },
        "10.0.0.3": { queue_depth: "unreachable" },
      },
    });
    expect(faultOf(() => value(queue)).message).toContain("1 of 3 replicas are known");
    expect(faultOf(() => activity(queue)).code).toBe("data-missing");
  });

  test("of a pod without an address is missing", () => {
    const { ip: _, ...unaddressed } = serving(2);
    const { value } = withEngines({
      pods: [serving(1), unaddressed],
      pages: { "10.0.0.1": page(3) },
    });
    expect(value(queue).explanation.workload?.pods[1]).toMatchObject({
      state: "missing",
      reason: "it has no address yet",
    });
  });

  test("that an engine does not export is an error which says what it does", () => {
    const { value } = withEngines({
      pods: [serving(1), serving(2)],
      pages: { "10.0.0.1": { activity: 1 }, "10.0.0.2": { activity: 3 } },
    });
    const fault = faultOf(() => value(queue));
    expect(fault.code).toBe("signal-unavailable");
    expect(fault.message).toContain("queue_depth");
  });

  test("that one engine beside others does not export makes its replica missing", () => {
    const cluster = withEngines({
      pods: [serving(1), serving(2)],
      pages: { "10.0.0.1": page(3), "10.0.0.2": { activity: 3 } },
    });
    const { value, explanation } = cluster.value(queue);
    expect(value).toBe(10);
    expect(explanation.workload?.pods[1]).toMatchObject({ state: "missing" });
    cluster.pass(missingGraceMs);
    cluster.value(queue);
    cluster.pass(1);
    expect(cluster.value(queue).value).toBe(8);
  });

  test("is missing at each port on its own: one that answers says nothing of the other", () => {
    const cluster = withEngines({ pods: [serving(1), serving(2)], pages: { "10.0.0.1": page(3) } });
    const other = { ...queue, enginePort: "9000" };
    for (const waitMs of [missingGraceMs, 1]) {
      expect([cluster.value(queue).value, cluster.value(other).value]).toEqual([10, 10]);
      cluster.pass(waitMs);
    }
    expect([cluster.value(queue).value, cluster.value(other).value]).toEqual([8, 8]);
    cluster.become({
      pods: [serving(1), serving(2)],
      pages: { "10.0.0.1": page(3), "10.0.0.2": page(0) },
    });
    cluster.value(queue);
    cluster.become({ pods: [serving(1), serving(2)], pages: { "10.0.0.1": page(3) } });
    expect(cluster.value(queue).value).toBe(10);
    expect(cluster.value(other).value).toBe(8);
  });

  test("whose page lacks the metric is missing, and all of them an error", () => {
    const { become, value } = withEngines({
      pods: [serving(1), serving(2)],
      pages: { "10.0.0.1": page(30), "10.0.0.2": { queue_depth: "lacking" } },
    });
    expect(value(queue).explanation.workload?.pods[1]).toMatchObject({ state: "missing" });
    const both = {
      "10.0.0.1": { queue_depth: "lacking" },
      "10.0.0.2": { queue_depth: "lacking" },
    } as const;
    become({ pods: [serving(1), serving(2)], pages: both });
    expect(faultOf(() => value(queue)).code).toBe("signal-unavailable");
  });
});

describe("a queue is active", () => {
  const active = (queue_depth: number, running_requests: number, metadata = {}) =>
    withEngines({
      pods: [serving(1)],
      pages: { "10.0.0.1": page(queue_depth, running_requests) },
    }).activity({ ...queue, activationThreshold: "1", ...metadata });

  test("above the threshold, or while any request runs", () => {
    expect(active(0, 0).active).toBe(false);
    expect(active(2, 0).active).toBe(true);
    expect(active(0, 1).active).toBe(true);
    expect(active(0, 1).explanation.rule).toContain("in use: 1 requests wait, run or arrive");
  });

  test("while any waits, though the trigger asks for more before it counts as in use", () => {
    expect(active(1, 0).active).toBe(true);
    expect(active(0, 1, { metricType: "running_requests" }).active).toBe(true);
  });

  test("while none is known to wait or run only where that is known", () => {
    const { activity, value } = withEngines({
      pods: [serving(1)],
      pages: { "10.0.0.1": { queue_depth: 0, activity: "pending" } },
    });
    expect(faultOf(() => activity(queue)).code).toBe("data-missing");
    expect(value(queue).value).toBe(0);
  });

  test("on what runs at another replica while one is missing", () => {
    const { activity } = withEngines({
      pods: [serving(1), serving(2)],
      pages: { "10.0.0.1": page(0, 1), "10.0.0.2": { queue_depth: "unreachable" } },
    });
    expect(activity(queue).active).toBe(true);
  });
});

describe("a latency", () => {
  const ttft = { metricType: "ttft_p95_ms", targetValue: "1000" };
  /** 100 quick requests at one replica, 20 slow ones at the other: 95 % of all stay below 2 s. */
  const pages = {
    "10.0.0.1": { ttft_p95_ms: latency(95, [0.1, 100], [1, 100], [2, 100], [Infinity, 100]) },
    "10.0.0.2": { ttft_p95_ms: latency(1_950, [0.1, 0], [1, 0], [2, 20], [Infinity, 20]) },
  };
  const pods = [serving(1), serving(2)];

  test("of all requests under metricType Value: buckets are merged, quantiles not averaged", () => {
    const { value } = withEngines({ pods, pages, workload: { metricType: "Value" } });
    const answer = value(ttft);
    // The 114th of 120, and the 14th of the 20 between 1 s and 2 s.
    expect(answer.value).toBeCloseTo(1_700, 6);
    expect(answer.explanation.engines?.map((one) => one.value)).toEqual([95, 1_950]);
    expect(answer.explanation.engines?.[0]?.observations).toMatchObject({
      kind: "buckets",
      q: 0.95,
    });
  });

  test("of each replica otherwise", () => {
    expect(withEngines({ pods, pages }).value(ttft).value).toBe(2_045);
    const most = { ...ttft, replicaAggregation: "max" };
    const cluster = withEngines({ pods, pages, workload: { metricType: "Value" } });
    expect(cluster.value(most).value).toBe(1_950);
    expect(cluster.activity({ ...ttft, activationThreshold: "1900" }).active).toBe(true);
  });

  test("of too few requests at each replica, and enough at all together, is known", () => {
    const few = latency(undefined, [0.1, 0], [1, 10], [Infinity, 10]);
    const { value, become } = withEngines({
      pods,
      pages: { "10.0.0.1": { ttft_p95_ms: few }, "10.0.0.2": { ttft_p95_ms: few } },
      workload: { metricType: "Value" },
    });
    expect(value(ttft).value).toBeCloseTo(955, 6);
    become({
      pods,
      pages: { "10.0.0.1": { ttft_p95_ms: few }, "10.0.0.2": { ttft_p95_ms: "unreachable" } },
      workload: { metricType: "Value" },
    });
    expect(faultOf(() => value(ttft)).code).toBe("data-missing");
  });

  test("of a replica that is long missing counts as the target beside the merged one", () => {
    const three = [...pods, serving(3)];
    const cluster = withEngines({
      pods: three,
      pages: { ...pages, "10.0.0.3": { ttft_p95_ms: "unreachable" } },
      workload: { metricType: "Value" },
    });
    cluster.value(ttft);
    cluster.pass(missingGraceMs);
    cluster.value(ttft);
    cluster.pass(1);
    expect(cluster.value(ttft).value).toBeCloseTo((1_700 * 2 + 1_000) / 3, 6);
  });
});

describe("a latency whose replicas have different buckets", () => {
  const ttft = { metricType: "ttft_p95_ms", targetValue: "1000" };
  const pods = [serving(1), serving(2)];
  const older = latency(95, [0.1, 100], [1, 100], [2, 100], [Infinity, 100]);
  const answerOf = (newer: Shown) =>
    withEngines({
      pods,
      pages: { "10.0.0.1": { ttft_p95_ms: older }, "10.0.0.2": { ttft_p95_ms: newer } },
      workload: { metricType: "Value" },
    }).value(ttft);

  test("is of all requests over the bounds of both, as during a roll-out", () => {
    const { value, explanation } = answerOf(latency(1_475, [0.5, 0], [1.5, 20], [Infinity, 20]));
    // The 114th of 120: of the newer replica's 20, seven tenths above 0.5 s, half of them above 1 s.
    expect(value).toBeCloseTo(1_200, 6);
    expect(explanation.rule).toContain("newest readings, of all their observations together: ");
    expect(explanation.engines?.map(({ value: own, merged }) => [own, merged])).toEqual([
      [95, { value }],
      [1_475, { value }],
    ]);
  });

  test("of which one has too many sets of them is of each one's own, and says why", () => {
    const cluster = withEngines({
      pods: Array.from({ length: bucketLayoutsMax + 1 }, (_, at) => serving(at)),
      pages: Object.fromEntries(
        Array.from({ length: bucketLayoutsMax + 1 }, (_, at) => [
          `10.0.0.${at}`,
          { ttft_p95_ms: latency(at, [at + 1, 30], [Infinity, 30]) },
        ]),
      ),
      workload: { metricType: "Value", replicas: bucketLayoutsMax + 1 },
    });
    const { value, explanation } = cluster.value(ttft);
    expect(value).toBe(bucketLayoutsMax / 2);
    expect(explanation.rule).toContain(
      "not put together because its buckets have 65 different sets of bounds",
    );
  });

  test("leaves no replica out that tells its latency and not of what it is made", () => {
    const { value, explanation } = answerOf(5_000);
    expect(value).toBe((95 + 5_000) / 2);
    expect(explanation.rule).toContain(
      "not put together because some engines give no observations, or others than the rest",
    );
  });
});

describe("a ratio that the trigger names", () => {
  const ratio = { engineMetric: "used / slots", engine: "vllm", targetValue: "0.5" };
  const pages = {
    "10.0.0.1": { "used / slots": share(9, 10) },
    "10.0.0.2": { "used / slots": share(1, 90) },
  };
  const pods = [serving(1), serving(2)];

  test("is of the sums of all replicas under metricType Value", () => {
    const answer = withEngines({ pods, pages, workload: { metricType: "Value" } }).value(ratio);
    expect(answer.value).toBeCloseTo(0.1, 9);
    expect(answer.explanation.engines?.map(({ value }) => value)).toEqual([0.9, 1 / 90]);
  });
  test("counts what one has for none of the other in the sums alone", () => {
    const three = { ...pages, "10.0.0.3": { "used / slots": share(10, 0) } };
    const all = [...pods, serving(3)];
    const cluster = withEngines({ pods: all, pages: three, workload: { metricType: "Value" } });
    expect(cluster.value(ratio).value).toBeCloseTo(0.2, 9);
  });
  test("is each replica's own otherwise", () => {
    expect(withEngines({ pods, pages }).value(ratio).value).toBeCloseTo(0.9 + 1 / 90, 9);
  });
  test("is in use where it is in the busiest replica, not where it adds up to that", () => {
    const { activity } = withEngines({ pods, pages });
    expect(activity({ ...ratio, activationThreshold: "0.905" }).active).toBe(false);
    expect(activity({ ...ratio, activationThreshold: "0.895" }).active).toBe(true);
  });
  test("is of the sums of all addresses behind a Service", () => {
    const { value } = withEngines({ pages, endpoints: [endpoint(1), endpoint(2)] });
    const answer = value({ ...ratio, endpoint: "http://llm" });
    expect(answer.value).toBeCloseTo(0.1, 9);
    expect(answer.explanation.rule).toStartWith("avg of engine_metric");
    expect(answer.explanation.rule).toContain("of all their observations together");
  });
});

test("a summary's quantile does not add up behind a Service", () => {
  const pages = { "10.0.0.1": { wait: 3 }, "10.0.0.2": { wait: 5 } };
  const { value } = withEngines({ pages, endpoints: [endpoint(1), endpoint(2)] });
  const wait = { engineMetric: "wait", engine: "vllm", targetValue: "1", endpoint: "http://llm" };
  expect(value(wait).value).toBe(8);
  expect(value({ ...wait, engineLabels: 'quantile="0.9"' }).value).toBe(4);
  expect(value({ ...wait, engineLabels: 'quantile=~"0.9"' }).value).toBe(8);
});

describe("the target in a pod", () => {
  const specOf = (changes: Parameters<typeof serving>[1], metadata = {}) => {
    const { value, reads } = withEngines({
      pods: [serving(1, changes)],
      pages: { "10.0.0.1": page(0) },
    });
    value({ ...queue, ...metadata });
    return reads[0]?.spec;
  };
  const declaring = (...ports: { readonly name?: string; readonly port: number }[]) => ({
    containers: [{ name: "server", ready: true, ports }],
  });

  test("is the pod's own address, with the pod as its owner and the likeliest port first", () => {
    const ports = [{ port: 8001 }, { name: "http", port: 8000 }, { name: "metrics", port: 8002 }];
    expect(specOf(declaring(...ports))).toEqual({
      at: {
        podAddress: "10.0.0.1",
        namespace: "ml",
        ports: [8002, 8001, 8000],
        owner: "uid-llm-1",
      },
    });
  });

  test("is what the metadata says", () => {
    const metadata = {
      engine: "vllm",
      enginePort: "9000",
      enginePath: "/m",
      engineTokenFile: "metrics",
      engineLabels: 'model_name="llama"',
    };
    expect(specOf(declaring({ port: 8000 }), metadata)).toEqual({
      at: { podAddress: "10.0.0.1", namespace: "ml", ports: [8000], owner: "uid-llm-1" },
      engine: "vllm",
      port: 9_000,
      path: "/m",
      tokenFile: "/tokens/ml/metrics",
    });
  });

  test("is not read, and shown nothing, where the pod must not be asked", () => {
    const rule = "it is on its node's network";
    const refusal = new Fault("endpoint-refused", `Cannot ask: ${rule}`, { endpoint: "x", rule });
    const { value, reads } = withEngines({
      pods: [serving(1)],
      pages: { "10.0.0.1": page(0) },
      refused: { "llm-1": refusal },
    });
    expect(faultOf(() => value({ ...queue, engineTokenFile: "metrics" }))).toBe(refusal);
    expect(reads).toEqual([]);
  });

  test("is asked over TLS, and shown credentials, as the metadata says", () => {
    const at = { podAddress: "10.0.0.1", namespace: "ml", ports: [8000], owner: "uid-llm-1" };
    const spec = (metadata: Record<string, string>) =>
      specOf(declaring({ port: 8000 }), { engineScheme: "https", ...metadata });
    expect(spec({})).toEqual({ at, tls: { serverName: "10.0.0.1" } });
    const keys = { engineServerName: "vllm.ml", engineCaFile: "ca", engineBasicAuthFile: "basic" };
    expect(spec(keys)).toEqual({
      at,
      basicAuthFile: "/tokens/ml/basic",
      tls: { serverName: "vllm.ml", caFile: "/authorities/ml/ca" },
    });
    expect(spec({ engineScheme: "http" })).toEqual({ at });
  });

  test("is asked for the trigger's own series, labels and window", () => {
    const { value, reads } = withEngines({
      pods: [serving(1)],
      pages: { "10.0.0.1": { jobs: 4 } },
    });
    const metadata = {
      engineMetric: "jobs",
      engine: "vllm",
      targetValue: "1",
      windowSeconds: "60",
      engineLabels: 'queue="a"',
    };
    expect(value(metadata).value).toBe(4);
    expect(reads.map(({ ask }) => ask)).toEqual([
      {
        signal: { metric: "jobs", reduce: "sum" },
        windowMs: 60_000,
        match: [{ label: "queue", op: "=", value: "a" }],
      },
      { signal: "activity", windowMs: 0, match: [{ label: "queue", op: "=", value: "a" }] },
    ]);
  });
});

test.each(["node", "cluster"])("an engine's metric in scope %s is refused", (scope) => {
  const { value } = withEngines({ pods: [serving(1)], pages: { "10.0.0.1": page(1) } });
  const fault = faultOf(() => value({ ...queue, scope }));
  expect(fault.code).toBe("scope-unavailable");
  expect(fault.message).toContain("metadata endpoint");
});

describe("readsEngines()", () => {
  test.each<[boolean, Readonly<Record<string, string>>]>([
    [true, queue],
    [true, { activationMetricType: "queue_depth" }],
    [true, { ...queue, activationMetricType: "gpu_utilization" }],
    [false, {}],
  ])("is %p of %p", (expected, metadata) => {
    expect(readsEngines(parseTrigger(metadata))).toBe(expected);
  });
});

describe("readNeeds()", () => {
  const ref = { namespace: "ml", name: "llm", scalerMetadata: {} };
  const needs = (metadata: Readonly<Record<string, string>>, isInCluster = true) => {
    const reads: unknown[] = [];
    readNeeds(ref, parseTrigger(metadata), {
      engines: {
        read: ({ at }, { signal, windowMs }) => {
          reads.push(["podAddress" in at ? at.podAddress : at.url, signal, windowMs]);
          return { target: "", state: "known", value: 0 };
        },
        endpointsOf: (url, namespace) => [{ at: { url, namespace }, isOwn: true, ready: true }],
        podRefusal: () => undefined,
        mountedFile: () => "",
      },
      workloads: isInCluster
        ? { of: () => workload({ pods: [serving(1), serving(2, { state: "warming" })] }) }
        : undefined,
    });
    return reads;
  };

  test("reads each signal that the answers would, once, of each pod that counts", () => {
    expect(needs({ ...queue, windowSeconds: "60" })).toEqual([
      ["10.0.0.1", "queue_depth", 60_000],
      ["10.0.0.1", "activity", 0],
    ]);
    expect(needs({ activationMetricType: "request_rate" })).toEqual([
      ["10.0.0.1", "request_rate", 0],
      ["10.0.0.1", "activity", 0],
    ]);
    expect(needs({ ...queue, activationMetricType: "request_rate" })).toEqual([
      ["10.0.0.1", "queue_depth", 0],
      ["10.0.0.1", "request_rate", 0],
      ["10.0.0.1", "activity", 0],
    ]);
  });

  test("reads what the URL leads to in place of the pods", () => {
    const endpoint = "http://router:8000/metrics";
    expect(needs({ metricType: "request_rate", targetValue: "5", endpoint }, false)).toEqual([
      [endpoint, "request_rate", 0],
      [endpoint, "activity", 0],
    ]);
  });

  test("looks nothing up where no metric is read from engines", () => {
    const fault = new Fault("workload-syncing", "Cannot look up: it is read; wait", {
      ...ref,
      waitingFor: "",
    });
    const of = () => {
      throw fault;
    };
    const read = (metadata: Readonly<Record<string, string>>) =>
      readNeeds(ref, parseTrigger(metadata), { engines: unusedEngines, workloads: { of } });
    read({});
    expect(() => read(queue)).toThrow(fault);
  });

  test("reads nothing where no answer would", () => {
    expect(needs(queue, false)).toEqual([]);
    expect(needs({ ...queue, scope: "cluster" })).toEqual([]);
  });
});
