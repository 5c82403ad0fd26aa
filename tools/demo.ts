/**
 * The scaler at work in a simulated cluster: load comes and goes, replicas follow, and the real answers
 * say why. On a terminal bars that move, elsewhere rows. Ends with Ctrl-C, or after `--seconds N`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ScaleChange } from "./demo/changes.ts";
import { type DemoCluster, demoCluster } from "./demo/cluster.ts";
import { startPage } from "./demo/page.ts";
import { panel } from "./demo/panel.ts";
import { heading, rowOf } from "./demo/rows.ts";
import { screen } from "./demo/screen.ts";
import { summary } from "./demo/summary.ts";
import { coloured, type Paint, plain, timeText, wrapped } from "./demo/text.ts";
import { daySeconds } from "./demo/workloads.ts";

const width = 80;
const frameMs = 200;
/** Of the simulation, between two rows without a terminal. */
const rowMs = 30_000;

const options = {
  help: { type: "boolean", short: "h" },
  speed: { type: "string", default: "20" },
  seconds: { type: "string", default: `${daySeconds}` },
  seed: { type: "string", default: "1" },
  "http-port": { type: "string", default: "0" },
} as const;

const help = `Plays a cluster, scaled by what this scaler answers, and shows what happens and why.

Usage: npm run demo -- [flags]

  --speed N      simulated seconds in a second, 1 to 1000; 20 if left out
  --seconds N    end after so long; otherwise with Ctrl-C
  --seed N       another number gives other requests; 1 if left out
  --http-port N  of the status page; a free one if left out
  --help         this text

Colours are left out where NO_COLOR is set. Without a terminal there are rows in place of bars.`;

interface DemoOptions {
  readonly speed: number;
  readonly seconds: number;
  readonly seed: number;
  readonly httpPort: number;
}

/** @returns `undefined` where the help was asked for. */
function demoOptions(): DemoOptions | undefined {
  const { values } = parseArgs({ options });
  if (values.help) return undefined;
  const number = (flag: keyof typeof values, least: number, most: number) => {
    const value = Number(values[flag]);
    if (value >= least && value <= most && values[flag] !== "") return value;
    throw new Error(`--${flag} must be a number from ${least} to ${most}, got ${values[flag]}`);
  };
  return {
    speed: number("speed", 1, 1_000),
    seconds: number("seconds", 0.1, daySeconds),
    seed: number("seed", 0, 1e9),
    httpPort: number("http-port", 0, 65_535),
  };
}

interface Show {
  /** After each second of the simulation. */
  readonly second: (news: readonly ScaleChange[]) => void;
  readonly frame: () => void;
  readonly close: () => void;
}

const write = (text: string) => void process.stdout.write(text);
const say = (line: string) => write(`${line}\n`);
const usesTerminal =
  process.stdout.isTTY && process.env["TERM"] !== "dumb" && process.stdout.columns >= width;
const paint: Paint = usesTerminal && !process.env["NO_COLOR"] ? coloured : plain;

function bars(cluster: DemoCluster, footer: string, speed: number): Show {
  const { stdout } = process;
  const terminal = {
    get columns() {
      return stdout.columns;
    },
    get rows() {
      return stdout.rows;
    },
    write,
  };
  const own = screen(terminal, width);
  process.on("exit", own.close);
  let lines: string[] = [];
  return {
    second: (news) => {
      lines.push(...news.flatMap(newsLines));
    },
    frame: () => {
      const time = `${timeText(cluster.clock.monotonicMs())} in the simulation, ${speed} s a second`;
      own.draw(lines, ["", ...panel(cluster.workloads, paint), `${paint("bold", time)}`, footer]);
      lines = [];
    },
    close: own.close,
  };
}

function rows({ clock, workloads }: DemoCluster): Show {
  const nothing = () => undefined;
  say(heading);
  return {
    second: (news) => {
      for (const change of news) say(newsText(change));
      if (clock.monotonicMs() % rowMs === 0) for (const one of workloads) say(rowOf(one));
    },
    frame: nothing,
    close: nothing,
  };
}

function newsText({ atMs, name, from, to, why }: ScaleChange): string {
  const change = `${from} ${to > from ? "▲" : "▼"} ${to}`;
  return `${timeText(atMs)}  ${name.padEnd(6)}${change.padEnd(8)}${why}`;
}

function newsLines(change: ScaleChange): readonly string[] {
  const [first = "", ...rest] = wrapped(newsText(change), width - 1, 24);
  const head = first.slice(0, 24);
  const colour = change.to > change.from ? "yellow" : "green";
  return [`${paint(colour, head)}${first.slice(24)}`, ...rest];
}

async function run({ speed, seconds, seed, httpPort }: DemoOptions): Promise<void> {
  const { version } = await Bun.file(join(import.meta.dir, "..", "package.json")).json();
  const cluster = demoCluster(seed);
  const page = startPage(cluster, version, httpPort);
  const address = `http://127.0.0.1:${page.port}/`;
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => stopped.resolve());
  // Who reads has enough, as `head` does.
  process.stdout.on("error", () => process.exit(0));

  say(`A simulated cluster, scaled by what this scaler's own code answers. Requests,
GPUs, pods, KEDA and the HPA are played; nothing is installed or really scaled.
Status page: ${address}
`);
  const show = usesTerminal
    ? bars(cluster, `Status page ${paint("cyan", address)}   Ctrl-C ends with a summary`, speed)
    : rows(cluster);
  let due = 0;
  const frame = () => {
    due += (speed * frameMs) / 1_000;
    for (; due >= 1; due -= 1) show.second(cluster.advance());
    show.frame();
    if (cluster.clock.monotonicMs() >= daySeconds * 1_000) stopped.resolve();
  };
  const timer = setInterval(frame, frameMs);
  const end = setTimeout(stopped.resolve, seconds * 1_000);
  await stopped.promise;
  clearInterval(timer);
  clearTimeout(end);
  show.close();
  say(`\n${summary(cluster.workloads).join("\n")}`);
  await page.stop();
}

try {
  const chosen = demoOptions();
  if (chosen === undefined) say(help);
  else await run(chosen);
  process.exit(0);
} catch (error) {
  console.error(
    `Cannot run the demo: ${error instanceof Error ? error.message : error}; see --help`,
  );
  process.exit(1);
}
