/**
 * What following many engines costs one process: `bun bench/engine-targets.ts [TARGETS] [SECONDS]`.
 *
 * Each target is a server of its own in another process, with a vLLM page of some 60 kB of which two
 * queries need a handful of names, as a queue trigger does, and a third the buckets of a latency. As in
 * the scaler, every target is read for every query at each interval. Printed: CPU of this process as a
 * share of one core, resident memory, scrapes and their failures.
 */
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { engineScraper } from "#engine/scrape/scraper.ts";
import type { SignalQuery } from "#engine/signal/query.ts";

const pageBytes = 60_000;
const warmUpMs = 12_000;

async function vllmPage(): Promise<string> {
  const fixture = join(import.meta.dir, "..", "test", "fixtures", "engines", "vllm-v1.prom");
  const [first = ""] = (await Bun.file(fixture).text()).split("# 60 s later\n");
  const parts = [first];
  const labels = 'engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"';
  for (let number = 0, bytes = first.length; bytes < pageBytes; number += 1) {
    const name = `vllm:other_${number}_seconds`;
    const buckets = Array.from(
      { length: 22 },
      (_, at) => `${name}_bucket{${labels},le="${2 ** at / 1000}"} ${at * 7}.0`,
    );
    const part = [
      `# HELP ${name} Histogram of a time.`,
      `# TYPE ${name} histogram`,
      ...buckets,
      "",
    ];
    parts.push(part.join("\n"));
    bytes += part.join("\n").length;
  }
  return parts.join("");
}

/** The other process: prints its ports, and serves until it is ended. */
async function serveEngines(count: number): Promise<void> {
  const page = Buffer.from(await vllmPage());
  const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
  const ports = Array.from({ length: count }, () => {
    const fetch = () => new Response(page, { headers });
    return Bun.serve({ hostname: "127.0.0.1", port: 0, fetch }).port;
  });
  process.stdout.write(`${JSON.stringify({ ports, bytes: page.length })}\n`);
}

async function startEngines(count: number) {
  const child = Bun.spawn([process.execPath, import.meta.path, "serve", `${count}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.endsWith("\n")) break;
  }
  return { child, ...(JSON.parse(text) as { ports: readonly number[]; bytes: number }) };
}

async function measure(count: number, seconds: number): Promise<void> {
  const { child, ports, bytes } = await startEngines(count);
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
  const queries: readonly SignalQuery[] = (
    ["queue_depth", "running_requests", "ttft_p95_ms"] as const
  ).map((signal) => ({ signal, windowMs: 0, match: [] }));
  let readMs = 0;
  const readAll = () => {
    const startedMs = clock.monotonicMs();
    for (const [index, port] of ports.entries()) {
      const at = {
        podAddress: "127.0.0.1",
        namespace: "bench",
        ports: [port],
        owner: `uid-${index}`,
      };
      for (const query of queries) scraper.read({ at, port, engine: "vllm" }, query);
    }
    readMs = clock.monotonicMs() - startedMs;
  };
  readAll();
  const cancel = clock.every(5_000, readAll);
  await Bun.sleep(warmUpMs);

  const count0 = scrapesOf(scraper.scrapes());
  const cpu0 = process.cpuUsage();
  const startedMs = clock.monotonicMs();
  await Bun.sleep(seconds * 1_000);
  const { user, system } = process.cpuUsage(cpu0);
  const passedMs = clock.monotonicMs() - startedMs;
  const scrapes = scrapesOf(scraper.scrapes()) - count0;
  const ages = scraper
    .targets()
    .map(({ goodAtMs = Number.NEGATIVE_INFINITY }) => clock.monotonicMs() - goodAtMs);
  const failed = scrapesOf(scraper.scrapes()) - (scraper.scrapes().get("ok") ?? 0);
  process.stdout.write(
    `${count} targets, pages of ${bytes} bytes: ` +
      `${((user + system) / 10 / passedMs).toFixed(1)} % of a core ` +
      `(${(user / 10 / passedMs).toFixed(1)} user), ` +
      `${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB, ` +
      `${((scrapes * 1_000) / passedMs).toFixed(0)} scrapes/s, ${failed} failed, ` +
      `oldest ${Math.max(...ages).toFixed(0)} ms, reading all takes ${readMs.toFixed(1)} ms\n`,
  );
  cancel();
  scraper.stop();
  child.kill();
}

function scrapesOf(ends: ReadonlyMap<string, number>): number {
  return [...ends.values()].reduce((sum, count) => sum + count, 0);
}

const [first = "1000", second = "20"] = process.argv.slice(2);
if (first === "serve") await serveEngines(Number(second));
else await measure(Number(first), Number(second));
