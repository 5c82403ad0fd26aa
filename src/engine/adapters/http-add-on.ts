import { type Adapter, type JsonSample, ownsPrefixes } from "#engine/adapter.ts";
import { gauge, latencies, rate } from "#engine/term.ts";

const lazy = true;
const inFlight = gauge(["interceptor_request_concurrency", "interceptor_pending_requests"], {
  lazy,
});

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
    samples.push({ name: "interceptor_request_concurrency", labels, value: concurrency });
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
  isFrontEnd: true,
  owns: ownsPrefixes("interceptor_"),
  sharedBy: ["route_name", "route_namespace"],
  fromJson: fromQueue,
  signals: {
    concurrency: [inFlight],
    ...latencies({ e2e: "interceptor_request_duration_seconds" }, 1000, { lazy }),
    request_rate: [rate(["interceptor_request_count", "interceptor_requests"], { lazy })],
  },
};
