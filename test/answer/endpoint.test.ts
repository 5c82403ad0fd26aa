import { describe, expect, test } from "bun:test";
import { missingGraceMs } from "#core/limits.ts";
import { endpoint, latency, serving, withEngines } from "./engines.ts";
import { faultOf } from "./faults.ts";

const router = {
  metricType: "queue_depth",
  targetValue: "5",
  engine: "vllm-router",
  endpoint: "http://router:8000/metrics",
};
const page = (queue_depth: number, running_requests = 0) => ({ queue_depth, running_requests });

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
    expect(faultOf(() => cluster.activity({ ...router, activationThreshold: "1" })).code).toBe(
      "data-missing",
    );
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
});

describe("warnings", () => {
  test("are told beside the value of an object that nothing wakes from zero", () => {
    const cluster = (otherTriggers: readonly { type: string }[]) =>
      withEngines({
        pods: [serving(1)],
        pages: { "10.0.0.1": page(1) },
        workload: { minReplicas: 0, otherTriggers },
      }).value({ metricType: "queue_depth", targetValue: "5" });
    expect(cluster([]).explanation.warnings).toMatchObject([{ code: "no-wake-source" }]);
    expect(cluster([]).value).toBe(1);
    expect(cluster([{ type: "prometheus" }]).explanation.warnings).toBeUndefined();
    expect(cluster([{ type: "cpu" }]).explanation.warnings).toBeDefined();
  });

  test("look at the object's other triggers of this scaler", () => {
    const ours = { scalerAddress: "here", ...router };
    const warningsWith = (metadata: Readonly<Record<string, string>>) =>
      withEngines({
        pods: [serving(1)],
        pages: { "10.0.0.1": page(1) },
        workload: { minReplicas: 0, otherTriggers: [{ type: "external", metadata }] },
      }).value({ metricType: "queue_depth", targetValue: "5" }).explanation.warnings;
    expect(warningsWith(ours)).toBeUndefined();
    const { endpoint: _, engine: __, ...own } = ours;
    expect(warningsWith(own)).toMatchObject([{ code: "no-wake-source" }]);
  });

  test("know the engine's buckets", () => {
    const pages = {
      "10.0.0.1": { ttft_p95_ms: latency(500, [0.5, 50], [1, 100], [Infinity, 100]) },
    };
    const cluster = withEngines({ pods: [serving(1)], pages, workload: { metricType: "Value" } });
    const codes = (targetValue: string) =>
      cluster
        .value({ metricType: "ttft_p95_ms", targetValue })
        .explanation.warnings?.map(({ code }) => code);
    expect(codes("500")).toEqual(["latency-without-guard"]);
    expect(codes("600")).toEqual(["latency-without-guard", "target-off-bucket-edge"]);
    expect(codes("2000")).toEqual(["latency-without-guard", "target-beyond-buckets"]);
  });
});
