/** An exporter on this machine: an HTTP server whose page is whatever the test says now. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ExporterOptions } from "#device/collector.ts";
import { exporterCollector } from "#device/exporter/collector.ts";
import { manualClock } from "../../support/manual-clock.ts";

/** A page in the format of a real exporter, by the name of its table. */
export function pageNamed(name: string): string {
  return readFileSync(join(import.meta.dir, "pages", `${name}.txt`), "utf8");
}

type Answer = string | (() => Response | Promise<Response>);

export interface ExporterServer extends Disposable {
  readonly url: string;
  readonly answer: (next: Answer) => void;
  readonly requests: () => number;
}

export function exporterServer(first: Answer, hostname = "127.0.0.1"): ExporterServer {
  let current = first;
  let requests = 0;
  const server = Bun.serve({
    port: 0,
    hostname,
    fetch: () => {
      requests += 1;
      return typeof current === "string" ? new Response(current) : current();
    },
  });
  return {
    url: `http://${hostname}:${server.port}/metrics`,
    answer: (next) => {
      current = next;
    },
    requests: () => requests,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

const nothing = { pcieThroughput: false };

/** The collector on a clock that the test sets; pages are read in real time. */
export function collectorOn(options: Omit<ExporterOptions, "nodeAddresses">) {
  const clock = manualClock();
  const logged: string[] = [];
  const { collect, close } = exporterCollector(
    { nodeAddresses: [], ...options },
    { clock, log: (_level, event) => logged.push(event), sleep: () => {} },
  );
  return {
    clock,
    logged,
    close,
    devices: async () => (await collect(nothing)).devices,
  };
}
