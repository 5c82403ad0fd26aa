import { gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, type JsonSample, ownsPrefixes } from "./adapter.ts";

/** `/queue` lists every route, so one that is not on it does not exist; `/metrics` has those in use. */
const queueName = "interceptor_queue_concurrency";
const counted = ["interceptor_request_count", "interceptor_requests"];
const countedTotals = counted.map((name) => `${name}_total`);
const inFlight = [
  gauge(queueName),
  gauge(["interceptor_request_concurrency", "interceptor_pending_requests"], {
    lazy: { shownBy: countedTotals },
  }),
];

/** `{"namespace/name": {"Concurrency": n, "RequestCount": n}}`, one entry a route. */
function fromQueue(page: unknown): readonly JsonSample[] | undefined {
  if (typeof page !== "object" || page === null || Array.isArray(page)) return undefined;
  const samples: JsonSample[] = [];
  for (const [route, counts] of Object.entries(page)) {
    const [namespace, name] = route.split("/");
    const concurrency: unknown =
      typeof counts === "object" && counts !== null ? counts.Concurrency : undefined;
    if (namespace === undefined || name === undefined || typeof concurrency !== "number")
      return undefined;
    const labels = { route_namespace: namespace, route_name: name };
    samples.push({ name: queueName, labels, value: concurrency });
  }
  return samples;
}

/** KEDA's HTTP add-on: its interceptor holds the requests of every route of the cluster. */
export const httpAddOn: Adapter = {
  engine: "http-add-on",
  title: "KEDA HTTP add-on interceptor",
  port: 9090,
  path: "/queue",
  otherPaths: ["/metrics"],
  enable: "/queue is on the interceptor's admin port 9090, /metrics on 2223",
  checked: {
    versions: "0.13 to 0.15, of which 0.15.0 was run",
    source: "kedacore/http-add-on: interceptor/metrics/instruments.go, pkg/queue/queue_rpc.go",
    lacks: "which requests wait and which run; tokens",
  },
  owns: ownsPrefixes("interceptor_"),
  fromJson: fromQueue,
  signals: {
    concurrency: inFlight,
    ...latencies({ e2e: "interceptor_request_duration_seconds" }, 1000, {
      lazy: { unless: countedTotals },
    }),
    request_rate: [rate(counted, { lazy: { shownBy: ["interceptor_request_concurrency"] } })],
  },
};
