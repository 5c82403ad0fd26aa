import { describe, expect, test } from "bun:test";
import type { EngineReader } from "#answer/engine-reader.ts";
import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { answererOf, endpoint, latency, serving, unusedEngines, withEngines } from "./engines.ts";
import { faultOf } from "./faults.ts";

const router = {
  metricType: "queue_depth",
  targetValue: "5",
  engine: "vllm-router",
  endpoint: "http://router:8000/metrics",
};
/** What waits and runs is also what tells of use. */
const page = (queue_depth: number, running_requests = 0) => ({
  queue_depth,
  running_requests,
  activity: queue_depth + running_requests,
});

describe("an endpoint", () => {
  test("is asked in place of the pods, all of its addresses added up", () => {
    const { value, reads } = withEngines({
      pods: [serving(7)],
      pages: { "10.0.0.1": page(3), "10.0.0.2": page(4), "10.0.0.7": page(100) },
      endpoints: [endpoint(1), endpoint(2)],
    });
    const { value: sum, explanation } = value(router);
    expect(sum).toBe(7);
    expect(explanation).toMatchObject({
      scope: "endpoint",
      rule: expect.stringContaining(
        "sum of queue_depth in requests over 2 of 2 addresses behind http",
      ),
      engines: [{ target: "http://10.0.0.1:8001", value: 3 }, { value: 4 }],
    });
    expect(explanation.workload).toBeUndefined();
    expect(reads[0]?.spec).toMatchObject({ port: 8001, engine: "vllm-router" });
  });

  test("has a value and wakes the workload at zero replicas", () => {
    const cluster = withEngines({
      pods: [],
      pages: { "10.0.0.1": page(0) },
      endpoints: [endpoint(1)],
    });
    expect(cluster.value(router).value).toBe(0);
    expect(cluster.activity(router).active).toBe(false);
    cluster.become({ pods: [], pages: { "10.0.0.1": page(1) }, endpoints: [endpoint(1)] });
    expect(cluster.value(router).value).toBe(1);
    expect(cluster.activity(router).active).toBe(true);
    cluster.become({ pods: [], pages: { "10.0.0.1": page(0, 2) }, endpoints: [endpoint(1)] });
    expect(cluster.activity(router).active).toBe(true);
  });

  test("decides on activity beside another metric's size", () => {
    const cluster = withEngines({
      pods: [],
      pages: { "10.0.0.1": page(1) },
      endpoints: [endpoint(1)],
    });
    const { metricType, targetValue: _, ...rest } = router;
    expect(cluster.activity({ ...rest, activationMetricType: metricType }).active).toBe(true);
  });

  test("of which an address is missing and nobody uses the other is not known to be idle", () => {
    const cluster = withEngines({
      pages: { "10.0.0.1": page(0), "10.0.0.2": { queue_depth: "unreachable" } },
      endpoints: [endpoint(1), endpoint(2)],
    });
    expect(faultOf(() => cluster.activity(router)).code).toBe("data-missing");
  });

  test("of which an address is missing has no value until the grace is over", () => {
    const cluster = withEngines({
      pages: { "10.0.0.1": page(1), "10.0.0.2": { queue_depth: "unreachable" } },
      endpoints: [endpoint(1), endpoint(2)],
    });
    const fault = faultOf(() => cluster.value(router));
    expect(fault.code).toBe("data-missing");
    expect(fault.message).toContain("1 of 2 addresses behind it are known");
    // What is known is in use, whatever the other says.
    expect(cluster.activity(router).active).toBe(true);
    cluster.pass(missingGraceMs);
    expect(faultOf(() => cluster.value(router)).code).toBe("data-missing");
    cluster.pass(1);
    expect(cluster.value(router).value).toBe(1);
  });

  test("of which nothing is known never has a value", () => {
    const cluster = withEngines({
      pages: { "10.0.0.1": { queue_depth: "unreachable" } },
      endpoints: [endpoint(1)],
    });
    for (const passMs of [0, missingGraceMs, 1]) {
      cluster.pass(passMs);
      expect(faultOf(() => cluster.value(router)).code).toBe("data-missing");
      expect(faultOf(() => cluster.activity(router)).code).toBe("data-missing");
    }
  });

  test("with an address that is not ready counts it as far as it answers", () => {
    const cluster = withEngines({
      pages: { "10.0.0.1": page(1), "10.0.0.2": { queue_depth: "unreachable" } },
      endpoints: [endpoint(1), endpoint(2, false)],
    });
    expect(cluster.value(router).value).toBe(1);
    cluster.become({
      pages: { "10.0.0.1": page(1), "10.0.0.2": page(2) },
      endpoints: [endpoint(1), endpoint(2, false)],
    });
    expect(cluster.value(router).value).toBe(3);
  });

  test("with a latency has that of all requests behind it", () => {
    const few = latency(undefined, [0.1, 0], [1, 10], [Infinity, 10]);
    const pages = { "10.0.0.1": { ttft_p95_ms: few }, "10.0.0.2": { ttft_p95_ms: few } };
    const cluster = withEngines({ pages, endpoints: [endpoint(1), endpoint(2)] });
    expect(cluster.value({ ...router, metricType: "ttft_p95_ms" }).value).toBeCloseTo(955, 6);
  });

  test("with a latency that one address lacks has no value, though the others' merge", () => {
    const pages = {
      "10.0.0.1": { ttft_p95_ms: latency(955, [0.1, 0], [1, 100], [Infinity, 100]) },
      "10.0.0.2": { ttft_p95_ms: "unreachable" as const },
    };
    const cluster = withEngines({ pages, endpoints: [endpoint(1), endpoint(2)] });
    const metadata = { ...router, metricType: "ttft_p95_ms" };
    expect(faultOf(() => cluster.value(metadata)).message).toContain("1 of 2 addresses");
    cluster.pass(missingGraceMs);
    expect(faultOf(() => cluster.value(metadata)).message).toContain("waited for");
    cluster.pass(1);
    expect(cluster.value(metadata).value).toBeCloseTo(955, 6);
  });

  test("with a latency of the slowest address, where the metadata asks for the maximum", () => {
    const pages = {
      "10.0.0.1": { ttft_p95_ms: latency(95, [0.1, 100], [1, 100], [Infinity, 100]) },
      "10.0.0.2": { ttft_p95_ms: latency(955, [0.1, 0], [1, 100], [Infinity, 100]) },
    };
    const cluster = withEngines({ pages, endpoints: [endpoint(1), endpoint(2)] });
    const metadata = { ...router, metricType: "ttft_p95_ms", replicaAggregation: "max" };
    expect(cluster.value(metadata).value).toBe(955);
  });

  test("of which fewer than half are known has no value, however long", () => {
    const cluster = withEngines({
      pages: {
        "10.0.0.1": page(1),
        "10.0.0.2": { queue_depth: "unreachable" },
        "10.0.0.3": { queue_depth: "unreachable" },
      },
      endpoints: [endpoint(1), endpoint(2), endpoint(3)],
    });
    faultOf(() => cluster.value(router));
    cluster.pass(missingGraceMs);
    faultOf(() => cluster.value(router));
    cluster.pass(1);
    const fault = faultOf(() => cluster.value(router));
    expect(fault.message).toContain("at least half of them must be known");
    expect(fault.facts).toMatchObject({ known: 1, missing: { length: 2 } });
  });

  test("is a mean of its addresses where the metric is an intensity or the metadata says so", () => {
    const pages = {
      "10.0.0.1": { ...page(2), kv_cache_usage: 20 },
      "10.0.0.2": { ...page(4), kv_cache_usage: 60 },
    };
    const cluster = withEngines({ pages, endpoints: [endpoint(1), endpoint(2)] });
    expect(cluster.value({ ...router, metricType: "kv_cache_usage" }).value).toBe(40);
    expect(cluster.value({ ...router, replicaAggregation: "avg" }).value).toBe(3);
    expect(cluster.value({ ...router, replicaAggregation: "max" }).value).toBe(4);
  });

  test("is sent no token where it is none of the namespace's own", () => {
    const at = { url: "http://gateway.example", namespace: "ml" };
    const cluster = withEngines({ endpoints: [{ at, ready: true, isOwn: false }] });
    const ask = () => cluster.value({ ...router, engineTokenFile: "metrics" });
    expect(ask).toThrow("a bearer token of namespace ml goes to pods and Services of that");
    expect(() => cluster.value({ ...router, engineBasicAuthFile: "basic" })).toThrow(
      "a password of namespace ml goes to pods and Services of that namespace only; put such a Service before the host, or leave engineBasicAuthFile out",
    );
    expect(cluster.reads).toEqual([]);
  });

  test("is read at its own port and path, with the token of the ScaledObject's namespace", () => {
    const at = { podAddress: "10.0.0.1", namespace: "ml", ports: [] };
    const cluster = withEngines({
      pages: { "10.0.0.1": page(1) },
      endpoints: [{ at, ready: true, isOwn: true, port: 8_001, path: "/own" }],
    });
    cluster.value({ ...router, engineTokenFile: "metrics" });
    const target = { engine: "vllm-router", port: 8_001, path: "/own" };
    expect(cluster.reads[0]?.spec).toEqual({ at, ...target, tokenFile: "/tokens/ml/metrics" });
  });

  test("is asked over TLS under its URL's host, or under the name that the metadata says", () => {
    const at = { podAddress: "10.0.0.1", namespace: "ml", ports: [] };
    const cluster = withEngines({
      pages: { "10.0.0.1": page(1) },
      endpoints: [{ at, ready: true, isOwn: true, port: 8_001, serverName: "router.ml.svc" }],
    });
    const overTls = { ...router, endpoint: "https://router.ml.svc" };
    cluster.value(overTls);
    cluster.value({ ...overTls, engineServerName: "llm.example", engineCaFile: "ca" });
    const specs = cluster.reads.map(({ spec }) => spec.tls);
    expect(specs).toContainEqual({ serverName: "router.ml.svc" });
    expect(specs).toContainEqual({ serverName: "llm.example", caFile: "/authorities/ml/ca" });
  });

  test("is read for one number of its page in JSON", () => {
    const at = { podAddress: "10.0.0.1", namespace: "ml", ports: [] };
    const cluster = withEngines({
      pages: { "10.0.0.1": { "$.queue": 4 } },
      endpoints: [{ at, ready: true, isOwn: true, path: "/status" }],
    });
    const metadata = {
      engineJsonPath: "$.queue",
      engineReduce: "max",
      endpoint: "http://app/status",
      targetValue: "1",
    };
    expect(cluster.value(metadata).value).toBe(4);
    const [first] = cluster.reads;
    expect(first?.spec).toMatchObject({ engine: "json", json: { path: "$.queue", reduce: "max" } });
    expect(first?.ask.signal).toEqual({ metric: "$.queue", kind: "gauge" });
  });

  test("explains an activity by its value", () => {
    const cluster = withEngines({ pages: { "10.0.0.1": page(3) }, endpoints: [endpoint(1)] });
    expect(cluster.activity(router).explanation.rule).toEndWith(
      ": 3, above the activation threshold 0",
    );
  });

  test("explains what is active, whatever is missing", () => {
    const cluster = withEngines({
      pages: { "10.0.0.1": { queue_depth: "unreachable", activity: 2 } },
      endpoints: [endpoint(1)],
    });
    const { active, explanation } = cluster.activity(router);
    expect(active).toBe(true);
    expect(explanation.rule).toEndWith(
      "over 0 of 1 addresses behind http://router:8000/metrics, newest readings: unknown, " +
        "not above the activation threshold 0; in use: 2 requests wait, run or arrive in a second",
    );
  });
});

describe("watchActivity()", () => {
  const namespace = "ml";
  const ref = { namespace, name: "llm", scalerMetadata: {} };

  /** An answerer whose URL leads to addresses that the test changes. */
  function watching(metadata: Readonly<Record<string, string>>, first: readonly number[]) {
    let numbers = first;
    const scraped = new Map<string, () => void>();
    const listens: string[] = [];
    let endpointsChanged: (() => void) | undefined;
    const engines: EngineReader = {
      ...unusedEngines,
      endpointsOf: () => {
        if (numbers.length === 0)
          throw new Fault("data-missing", "Cannot find any: none; wait", { known: 0, missing: [] });
        return numbers.map((number) => endpoint(number));
      },
      listen: (target, listener) => {
        const address = "podAddress" in target.at ? target.at.podAddress : "";
        if (address === "10.0.0.9")
          throw new Fault("overloaded", "Cannot follow: too many; scale in", { limit: 1 });
        scraped.set(address, listener);
        listens.push(address);
        return () => void scraped.delete(address);
      },
      onEndpointsChange: (listener) => {
        endpointsChanged = listener;
        return () => {
          endpointsChanged = undefined;
        };
      },
    };
    let heard = 0;
    const cancel = answererOf(engines).watchActivity(ref, parseTrigger(metadata), () => {
      heard += 1;
    });
    return {
      heard: () => heard,
      listens,
      followed: () => [...scraped.keys()],
      scrape: (address: string) => scraped.get(address)?.(),
      isSubscribed: () => endpointsChanged !== undefined,
      lead: (...to: readonly number[]) => {
        numbers = to;
        endpointsChanged?.();
      },
      cancel,
    };
  }

  test("hears each scrape of each address", () => {
    const watch = watching(router, [1, 2]);
    expect(watch.followed()).toEqual(["10.0.0.1", "10.0.0.2"]);
    watch.scrape("10.0.0.2");
    expect(watch.heard()).toBe(1);
  });

  test("hears at once that the addresses have changed, and follows those there are now", () => {
    const watch = watching(router, [1, 2]);
    watch.lead(2, 3);
    expect(watch.heard()).toBe(1);
    expect(watch.followed()).toEqual(["10.0.0.2", "10.0.0.3"]);
    expect(watch.listens).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  });

  test("goes on where nothing is found or followed, for the answer says what is wrong", () => {
    const watch = watching(router, []);
    expect(watch.followed()).toEqual([]);
    watch.lead(9, 1);
    expect(watch.followed()).toEqual(["10.0.0.1"]);
    expect(watch.heard()).toBe(1);
  });

  test("ends when it is cancelled", () => {
    const watch = watching(router, [1, 2]);
    watch.cancel();
    expect(watch.followed()).toEqual([]);
    expect(watch.isSubscribed()).toBe(false);
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ["without an endpoint", { metricType: "queue_depth", targetValue: "5" }],
    ["of devices", { ...router, activationMetricType: "gpu_utilization" }],
  ])("follows nothing for an activity %s", (_which, metadata) => {
    const watch = watching(metadata, [1]);
    expect(watch.followed()).toEqual([]);
    expect(watch.isSubscribed()).toBe(false);
    watch.cancel();
  });

  test("follows nothing in a process that reads no engines", () => {
    const listener = () => {
      throw new Error("Nothing can be heard");
    };
    answererOf(undefined).watchActivity(ref, parseTrigger(router), listener)();
  });
});
