/** An inference engine or gateway, as far as its page of metrics goes. */
import { join } from "node:path";

const fixtures = join(import.meta.dir, "..", "fixtures", "engines");

export interface Load {
  /** An engine's; a router has no queue. */
  readonly waiting?: number;
  readonly running: number;
  /** All requests so far to the model of a router; absent before the first. */
  readonly arrived?: number;
}

export interface FakeEngine extends Disposable {
  readonly address: string;
  readonly port: number;
  /** What its page shows from now on, in all. */
  readonly load: (load: Load) => void;
  /** What it answers a scrape with in place of its page, until it is called with nothing. */
  readonly answer: (reply?: () => Response | Promise<Response>) => void;
  /** When each scrape came; `performance.now()`. */
  readonly scrapesAtMs: readonly number[];
  /** Every request that came, one that is no scrape included. */
  readonly requests: readonly { readonly path: string; readonly authorization: string | null }[];
  /** Closes its port. */
  readonly die: () => void;
}

/** Serves a fixture's page on a loopback address, with the load written into its gauges. */
export async function fakeEngine(
  page: "vllm-v1.prom" | "vllm-router-fresh.prom",
  address: string,
): Promise<FakeEngine> {
  const [first = ""] = (await Bun.file(join(fixtures, page)).text()).split("# 60 s later\n");
  let shown = first;
  let reply: (() => Response | Promise<Response>) | undefined;
  const scrapesAtMs: number[] = [];
  const requests: { path: string; authorization: string | null }[] = [];
  const server = Bun.serve({
    hostname: address,
    port: 0,
    fetch: (request) => {
      const path = new URL(request.url).pathname;
      requests.push({ path, authorization: request.headers.get("authorization") });
      if (path !== "/metrics") return new Response("", { status: 404 });
      scrapesAtMs.push(performance.now());
      if (reply !== undefined) return reply();
      return new Response(shown, { headers: { "content-type": "text/plain; version=0.0.4" } });
    },
  });
  const load = ({ waiting = 0, running, arrived }: Load) => {
    const gauges = gauge(
      gauge(first, "vllm:num_requests_waiting", waiting),
      "vllm:num_requests_running",
      running,
    );
    // A label set is there from the first request on.
    const counter = `vllm:num_incoming_requests_total{model="llama"} ${arrived}\n`;
    shown = arrived === undefined ? gauges : `${gauges}${counter}`;
  };
  const answer: FakeEngine["answer"] = (next) => {
    reply = next;
  };
  const die = () => void server.stop(true);
  load({ waiting: 0, running: 0 });
  const port = server.port ?? 0;
  return { address, port, load, answer, scrapesAtMs, requests, die, [Symbol.dispose]: die };
}

/** Writes a total into the first series of a gauge, and 0 into the others. */
function gauge(page: string, name: string, total: number): string {
  let rest = total;
  return page.replaceAll(new RegExp(`^(${name}\\{.*\\}) .*$`, "gm"), (_line, series: string) => {
    const value = rest;
    rest = 0;
    return `${series} ${value}`;
  });
}
