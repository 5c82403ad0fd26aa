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
import { metricNames, vllmPage } from "./engine-page.ts";

const rounds = 200;
const garbageRounds = 20;
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
