/**
 * The demo's HTTP port: the status page and the metrics of a scaler, of the simulated cluster.
 *
 * @module
 */
import { fleetNodes, silentAgents } from "#app/status-nodes.ts";
import { systemClock } from "#core/clock.ts";
import { page } from "#gen/page.ts";
import { type HttpServer, startHttp } from "#observe/http.ts";
import { processMetrics } from "#observe/metrics.ts";
import { statusViews } from "#observe/status.ts";
import { statusStream } from "#observe/status-stream.ts";
import type { DemoCluster } from "./cluster.ts";

/** @param port 0 picks a free one. */
export function startPage(cluster: DemoCluster, version: string, port: number): HttpServer {
  const { clock, nodes, triggers, evaluate } = cluster;
  const unready = () => undefined;
  const source = {
    nodes: () => fleetNodes(nodes, clock.monotonicMs()),
    unavailable: () => silentAgents(nodes.unavailable, clock.monotonicMs()),
    triggers,
    usageOf: () => undefined,
    powerWattsOf: () => undefined,
    evaluate,
  };
  const process = {
    version,
    role: "scaler, simulated",
    nodeName: "demo",
    startedAtMs: clock.wallMs(),
    unready,
  };
  const views = statusViews(source, process, clock);
  const real = systemClock();
  const stream = statusStream(views.status, real);
  const metrics = processMetrics({
    clock: real,
    version,
    revision: "demo",
    isFresh: () => true,
    triggers,
  });
  const http = startHttp({
    bind: "127.0.0.1",
    port,
    metrics,
    unready,
    status: { ...views, stream, page },
  });
  return {
    port: http.port,
    stop: async () => {
      stream.stop();
      metrics.stop();
      await http.stop();
    },
  };
}
