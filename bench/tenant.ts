/**
 * What one tenant's pages cost the scaler that reads them: `bun bench/tenant.ts [PODS] [SECONDS] [NAMESPACES]`.
 *
 * Each pod has a legal page of 1.4 MB with 19,900 buckets, each with labels of its own, which count
 * something from one scrape to the next, and two triggers read it; the pods are of one namespace, or of as many as are named. One pod of the namespace `good` has
 * a page of one line. Printed: resident memory at first and at its peak, scrapes by how they ended, and
 * how the namespaces' pods are read at the end.
 */
import { systemClock } from "#core/clock.ts";
import { messageOf } from "#core/fault.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { engineScraper } from "#engine/scrape/scraper.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { SignalQuery } from "#engine/signal/query.ts";

const buckets = 19_900;
const pageBytes = 1_400_000;

function greedyPage(count: number): Buffer {
  const width = Math.floor(pageBytes / buckets);
  const lines = Array.from({ length: buckets }, (_, at) => {
    const line = (m: string) =>
      `vllm:time_to_first_token_seconds_bucket{m="${m}",le="${at}.5"} ${count}\n`;
    const label = `${at}`;
    return line(label.padEnd(label.length + width - line(label).length, "x"));
  });
  return Buffer.from(["vllm:num_requests_waiting 1\n", ...lines].join(""));
}

async function serve(pods: number): Promise<void> {
  const good = Buffer.from("vllm:num_requests_waiting 7\n");
  const greedy = [greedyPage(1), greedyPage(2)];
  const headers = { "content-type": "text/plain" };
  const ports = Array.from({ length: pods + 1 }, (_, at) => {
    let scrapes = 0;
    const page = () => {
      scrapes += 1;
      return at === 0 ? good : greedy[scrapes % 2];
    };
    return Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(page(), { headers }),
    }).port;
  });
  process.stdout.write(`${JSON.stringify(ports)}\n`);
}

async function measure(pods: number, seconds: number, namespaces: number): Promise<void> {
  const child = Bun.spawn([process.execPath, import.meta.path, "serve", `${pods}`], {
    stdout: "pipe",
  });
  let text = "";
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.endsWith("\n")) break;
  }
  const ports = JSON.parse(text) as readonly number[];
  const clock = systemClock();
  const scraper = engineScraper({
    clock,
    log: () => undefined,
    random: Math.random,
    rules: { allow: ["127.0.0.1"], clusterDomain: "cluster.local", resolve: async () => [] },
    readFile: () => Promise.reject(new Error("no file")),
  });
  const targets = ports.map(
    (port, at): ScrapeTarget => ({
      at: {
        podAddress: "127.0.0.1",
        namespace: at === 0 ? "good" : `greedy-${at % namespaces}`,
        ports: [port],
        owner: `uid-${at}`,
      },
    }),
  );
  const queries = (["queue_depth", "ttft_p95_ms"] as const).map(
    (signal): SignalQuery => ({ signal, windowMs: 0, match: [] }),
  );
  let peakBytes = 0;
  const firstBytes = process.memoryUsage.rss();
  for (let passed = 0; passed < seconds * 10; passed += 1) {
    for (const target of targets)
      for (const query of queries) readingText(() => scraper.read(target, query));
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
    await Bun.sleep(100);
  }
  const states = targets.map((target) => {
    const readings = queries.map((query) => readingText(() => scraper.read(target, query)));
    return `${target.at.namespace}: ${[...new Set(readings)].join(", ")}`;
  });
  const counts = Map.groupBy(states, (text) => text);
  const ends = [...scraper.scrapes()].map(([end, count]) => `${end} ${count}`).join(", ");
  process.stdout.write(
    `${pods} pods: ${mebibytes(firstBytes)} at first, ${mebibytes(peakBytes)} at most, ` +
      `${mebibytes(process.memoryUsage.rss())} at the end; scrapes: ${ends}\n` +
      [...counts].map(([text, { length }]) => `  ${length} of ${text}\n`).join(""),
  );
  scraper.stop();
  child.kill();
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

function readingText(read: () => EngineReading): string {
  try {
    const reading = read();
    return reading.state === "known"
      ? "known"
      : `${reading.reason} (${withoutPort(reading.fault)})`;
  } catch (error) {
    return withoutPort(error);
  }
}

function withoutPort(problem: unknown): string {
  return messageOf(problem).replaceAll(/127\.0\.0\.1:\d+/g, "its pod");
}

const [first = "40", second = "15", third = "1"] = process.argv.slice(2);
if (first === "serve") await serve(Number(second));
else await measure(Number(first), Number(second), Number(third));
