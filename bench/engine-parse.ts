/**
 * What reading one large vLLM page costs: `bun bench/engine-parse.ts`.
 *
 * The page has 12,000 lines (8 engines, 60 histograms, 1 MB), of which a scaler reads six names.
 * With `BUN_JSC_useGC=0` in the environment nothing is collected, and the memory growth is the garbage.
 * Compared with the obvious way: decode all, split at newlines, match each line, keep the six.
 */
import { pageParser } from "#engine/page/exposition.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { seriesTable } from "#engine/page/series.ts";

const rounds = 200;
const garbageRounds = 20;
const metricNames = [
  "vllm:num_requests_waiting",
  "vllm:num_requests_running",
  "vllm:kv_cache_usage_perc",
  "vllm:h7_seconds_bucket",
  "vllm:request_success_total",
  "vllm:generation_tokens_total",
];

function vllmPage(): Buffer {
  const lines: string[] = [];
  const model = 'model_name="meta-llama/Llama-3.1-8B-Instruct"';
  for (const name of metricNames.filter((name) => !name.endsWith("_bucket"))) {
    lines.push(`# HELP ${name} What it counts.`, `# TYPE ${name} gauge`);
    for (let engine = 0; engine < 8; engine += 1)
      lines.push(`${name}{engine="${engine}",${model}} ${engine * 3}.0`);
  }
  for (let histogram = 0; histogram < 60; histogram += 1) {
    const name = `vllm:h${histogram}_seconds`;
    lines.push(`# HELP ${name} Histogram of some time in seconds.`, `# TYPE ${name} histogram`);
    for (let engine = 0; engine < 8; engine += 1) {
      for (let bucket = 0; bucket < 22; bucket += 1)
        lines.push(
          `${name}_bucket{engine="${engine}",le="${2 ** bucket / 1000}",${model}} ${bucket * 7}.0`,
        );
      lines.push(`${name}_bucket{engine="${engine}",le="+Inf",${model}} 160.0`);
      lines.push(`${name}_count{engine="${engine}",${model}} 160.0`);
      lines.push(`${name}_sum{engine="${engine}",${model}} 31.4159`);
    }
  }
  return Buffer.from(`${lines.join("\n")}\n`);
}

function bySplit(page: Buffer): number {
  const names = new Set(metricNames);
  const values = new Map<string, number>();
  for (const line of page.toString("utf8").split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(\{.*\})?\s+(\S+)/.exec(line);
    if (match !== null && names.has(match[1] ?? ""))
      values.set(`${match[1]}${match[2]}`, Number(match[3]));
  }
  return values.size;
}

const page = vllmPage();
const filter = nameFilter(metricNames);
const table = seriesTable();
function byParser(): number {
  const parser = pageParser({ filter, table });
  // 64 KiB is what a socket hands over at once.
  for (let at = 0; at < page.length; at += 65_536) parser.push(page.subarray(at, at + 65_536));
  return parser.end().values.length;
}

function measure(name: string, run: () => number): void {
  for (let round = 0; round < 20; round += 1) run();
  const before = process.memoryUsage.rss();
  let samples = 0;
  for (let round = 0; round < garbageRounds; round += 1) samples = run();
  const kibibytes = (process.memoryUsage.rss() - before) / garbageRounds / 1024;
  const times = Array.from({ length: rounds }, () => {
    const startNs = Bun.nanoseconds();
    run();
    return (Bun.nanoseconds() - startNs) / 1e6;
  }).sort((low, high) => low - high);
  const at = (share: number) => (times[Math.floor(rounds * share)] ?? 0).toFixed(2);
  process.stdout.write(
    `${name}: ${samples} series, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, memory growth ${kibibytes.toFixed(0)} KiB a page\n`,
  );
}

const lineCount = page.toString("latin1").split("\n").length - 1;
process.stdout.write(`page: ${lineCount} lines, ${(page.length / 1e6).toFixed(2)} MB\n`);
measure("parser", byParser);
measure("split ", () => bySplit(page));
