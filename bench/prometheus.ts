/**
 * Rates and quantiles beside Prometheus': `bun bench/prometheus.ts [SECONDS] [SCRAPE_SECONDS]`.
 *
 * Plays one vLLM page a load. A Prometheus, found on PATH, scrapes each every second, or as often as told; the scaler's own
 * scraper reads them as it does in the product, every 5 s. At each of our scrapes Prometheus is asked for
 * `rate()` and `histogram_quantile()` over the same minute. What really came in that minute is known
 * here, so that each is compared with it as well.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { engineScraper } from "#engine/scrape/scraper.ts";
import type { SignalName } from "#metric/catalogue.ts";
import { randomStream } from "#simulate/random.ts";

const windowMs = 60_000;
/** Until both have a whole window. */
const warmUpMs = windowMs + 10_000;
const sampleMs = 5_000;

/** Bounds of vLLM's own histogram, in seconds. */
const bounds = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  160, 640, 2560,
];

interface Load {
  readonly name: string;
  /** Requests in a second, by the seconds since the start. */
  readonly rate: (atSeconds: number) => number;
  /** Median time to the first token, in seconds. */
  readonly median?: (atSeconds: number) => number;
  /** When its process is replaced by another, which counts from 0. */
  readonly restartSeconds?: number;
}

const wave = (atSeconds: number, periodSeconds: number) =>
  Math.sin((2 * Math.PI * atSeconds) / periodSeconds);
const loads: readonly Load[] = [
  { name: "steady", rate: () => 20 },
  { name: "ramp", rate: (at) => 5 + at / 4, median: (at) => 0.1 + at / 300 },
  {
    name: "waves of 40 s",
    rate: (at) => 20 + 15 * wave(at, 40),
    median: (at) => 0.2 + 0.1 * wave(at, 40),
  },
  {
    name: "waves of 300 s",
    rate: (at) => 20 + 15 * wave(at, 300),
    median: (at) => 0.2 + 0.1 * wave(at, 300),
  },
  { name: "bursts", rate: (at) => (at % 20 < 2 ? 100 : 1) },
  { name: "restart", rate: () => 20, restartSeconds: 100 },
];

/** A page that grows by the wall's clock. */
function played({ name, rate, median = () => 0.15, restartSeconds }: Load, startMs: number) {
  const random = randomStream(1, name);
  const arrivals: number[] = [];
  let counts = bounds.map(() => 0);
  let [total, sum, atSeconds] = [0, 0, 0];
  let startedAtMs = startMs;
  const advance = (nowMs: number) => {
    for (;;) {
      // Thinning: gaps of the highest rate, of which a part is kept.
      const next = atSeconds + random.exponential(1 / 100);
      if (startMs + next * 1_000 > nowMs) return;
      if (restartSeconds !== undefined && atSeconds < restartSeconds && next >= restartSeconds) {
        counts = bounds.map(() => 0);
        [total, sum] = [0, 0];
        startedAtMs = startMs + restartSeconds * 1_000;
      }
      atSeconds = next;
      if (random.next() * 100 > rate(atSeconds)) continue;
      const seconds = median(atSeconds) * Math.exp(0.5 * random.normal());
      arrivals.push(startMs + atSeconds * 1_000);
      total += 1;
      sum += seconds;
      counts = counts.map((count, index) => count + (seconds <= (bounds[index] ?? 0) ? 1 : 0));
    }
  };
  const ttft = "vllm:time_to_first_token_seconds";
  const page = () => {
    advance(Date.now());
    const buckets = [...bounds, "+Inf"].map(
      (le, index) => `${ttft}_bucket{engine="0",le="${le}"} ${counts[index] ?? total}`,
    );
    return [
      `process_start_time_seconds ${startedAtMs / 1_000}`,
      'vllm:num_requests_running{engine="0"} 5',
      'vllm:num_requests_waiting{engine="0"} 0',
      "# TYPE vllm:request_success_total counter",
      `vllm:request_success_total{engine="0",finished_reason="stop"} ${total}`,
      `# TYPE ${ttft} histogram`,
      ...buckets,
      `${ttft}_sum{engine="0"} ${sum}`,
      `${ttft}_count{engine="0"} ${total}`,
      "",
    ].join("\n");
  };
  /** What really came in the window that ends then, a second. */
  const trueRate = (endMs: number) =>
    arrivals.filter((at) => at > endMs - windowMs && at <= endMs).length / (windowMs / 1_000);
  const headers = { "content-type": "text/plain; version=0.0.4" };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(page(), { headers }),
  });
  return { name, server, port: server.port ?? 0, trueRate };
}

async function startPrometheus(ports: readonly number[], scrapeSeconds: number) {
  const binary = Bun.which("prometheus");
  if (binary === null)
    throw new Error(
      "Cannot compare with Prometheus: no prometheus on PATH; install Debian's package (apt-get install prometheus) or put a released binary there",
    );
  const folder = mkdtempSync(join(tmpdir(), "bench-prometheus-"));
  const targets = ports.map((port) => `"127.0.0.1:${port}"`).join(", ");
  const config = `global: { scrape_interval: ${scrapeSeconds}s, scrape_timeout: 1s }\nscrape_configs:\n  - job_name: bench\n    static_configs: [{ targets: [${targets}] }]\n`;
  await Bun.write(join(folder, "prometheus.yml"), config);
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const address = `127.0.0.1:${free.port}`;
  free.stop(true);
  const child = Bun.spawn(
    [
      binary,
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  /** @returns The value for a target at a time; absent when there is none. */
  const ask = async (query: string, atMs: number): Promise<number | undefined> => {
    const parameters = new URLSearchParams({ query, time: `${atMs / 1_000}` });
    const response = await fetch(`http://${address}/api/v1/query?${parameters}`);
    const { data } = (await response.json()) as {
      data?: { result: readonly { value: readonly [number, string] }[] };
    };
    const value = Number(data?.result[0]?.value[1]);
    return Number.isFinite(value) ? value : undefined;
  };
  const stop = async () => {
    child.kill();
    await child.exited;
    rmSync(folder, { recursive: true });
  };
  return { ask, stop };
}

interface Measure {
  readonly what: string;
  readonly signal: SignalName;
  readonly query: (instance: string) => string;
}
const quantile = (q: number): Measure => ({
  what: `p${q * 100}`,
  signal: `ttft_p${q * 100}_ms` as SignalName,
  query: (instance) =>
    `1000 * histogram_quantile(${q}, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{instance="${instance}"}[60s])))`,
});
const measures: readonly Measure[] = [
  {
    what: "rate",
    signal: "request_rate",
    query: (instance) => `sum(rate(vllm:request_success_total{instance="${instance}"}[60s]))`,
  },
  quantile(0.5),
  quantile(0.95),
  quantile(0.99),
];

/** Relative differences, in percent. */
interface Differences {
  readonly fromPrometheus: number[];
  readonly oursFromTruth: number[];
  readonly prometheusFromTruth: number[];
}
const off = (value: number, from: number) => (Math.abs(value - from) / from) * 100;
const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const shown = (values: readonly number[]) =>
  values.length === 0 ? "" : `${mean(values).toFixed(2)} / ${Math.max(...values).toFixed(2)}`;

async function compare(seconds: number, scrapeSeconds: number): Promise<void> {
  const startMs = Date.now();
  const pages = loads.map((load) => played(load, startMs));
  const prometheus = await startPrometheus(
    pages.map(({ port }) => port),
    scrapeSeconds,
  );
  const clock = systemClock();
  const scraper = engineScraper({
    clock,
    log: () => undefined,
    random: Math.random,
    rules: {
      allow: ["127.0.0.1"],
      clusterDomain: "cluster.local",
      resolve: () => Promise.reject(new Error("nothing is resolved")),
    },
    readFile: () => Promise.reject(new Error("no file")),
  });
  const read = ({ name, port }: (typeof pages)[number], signal: SignalName) => {
    const at = { podAddress: "127.0.0.1", namespace: "bench", ports: [port], owner: name };
    return scraper.read({ at, port, engine: "vllm" }, { signal, windowMs, match: [] });
  };
  const differences = new Map<string, Differences>();
  const sample = async (page: (typeof pages)[number], { what, signal, query }: Measure) => {
    const ours = read(page, signal);
    if (ours.state !== "known" || ours.ageMs === undefined) return;
    const atMs = Date.now() - ours.ageMs;
    // Its newest scrape is older than ours by up to its interval, and a query sees what came until then.
    const theirs = await prometheus.ask(query(`127.0.0.1:${page.port}`), atMs);
    if (theirs === undefined) return;
    const key = `${page.name}|${what}`;
    const row = differences.get(key) ?? {
      fromPrometheus: [],
      oursFromTruth: [],
      prometheusFromTruth: [],
    };
    differences.set(key, row);
    row.fromPrometheus.push(off(ours.value, theirs));
    if (what !== "rate") return;
    row.oursFromTruth.push(off(ours.value, page.trueRate(atMs)));
    row.prometheusFromTruth.push(off(theirs, page.trueRate(atMs)));
  };
  for (const untilMs = startMs + warmUpMs + seconds * 1_000; Date.now() < untilMs; ) {
    const isWarm = Date.now() - startMs > warmUpMs;
    for (const page of pages)
      for (const measure of measures)
        if (isWarm) await sample(page, measure);
        else read(page, measure.signal);
    await Bun.sleep(sampleMs);
  }
  scraper.stop();
  await prometheus.stop();
  for (const { server } of pages) await server.stop(true);
  print(differences);
}

function print(differences: ReadonlyMap<string, Differences>): void {
  const lines = [...differences].map(([key, row]) => {
    const [load, what] = key.split("|");
    const { fromPrometheus, oursFromTruth, prometheusFromTruth } = row;
    const verdict = mean(fromPrometheus) <= 2 ? "" : "missed";
    return `| ${load} | ${what} | ${shown(fromPrometheus)} | ${verdict} | ${shown(oursFromTruth)} | ${shown(prometheusFromTruth)} | ${fromPrometheus.length} |`;
  });
  const heading =
    "| load | what | from Prometheus, mean / worst % | aim 2 % | ours from the truth | Prometheus from the truth | samples |\n|---|---|---|---|---|---|---|";
  process.stdout.write(`${[heading, ...lines].join("\n")}\n`);
}

await compare(Number(process.argv[2] ?? 120), Number(process.argv[3] ?? 1));
