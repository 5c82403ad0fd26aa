/**
 * A process of the compiled binary that may be killed, frozen and starved, and comes back at its ports.
 *
 * @module
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { systemFigures } from "../hostile/siege.ts";
import { binary, type LogLine } from "../support/binary.ts";

export interface ChaosProcess {
  readonly name: string;
  readonly address: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Counts its starts. */
  readonly life: () => number;
  /** Since its last start. */
  readonly ageMs: () => number;
  readonly isRunning: () => boolean;
  /** Starts it, with its log on its disk or on one that is full, and waits until it listens. */
  readonly start: (disk?: "usual" | "full") => Promise<void>;
  /** Sends a signal; with one that ends it, waits for that. */
  readonly signal: (signal: NodeJS.Signals) => Promise<void>;
  /** Lets it open so many descriptors more than it has; `undefined` as many as ever. */
  readonly limitDescriptors: (more: number | undefined) => void;
  readonly figures: () => ReturnType<typeof systemFigures>;
  /** Everything that it has written so far, over all its lives. */
  readonly log: () => readonly LogLine[];
  /** Ends that no fault asked for: what it ended with. */
  readonly deaths: () => readonly string[];
}

export interface ChaosProcessOptions {
  readonly name: string;
  readonly address: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logPath: string;
}

const ending: readonly NodeJS.Signals[] = ["SIGKILL", "SIGTERM"];
const listensWithinMs = 15_000;

export async function chaosProcess(options: ChaosProcessOptions): Promise<ChaosProcess> {
  const { name, address, args, env, logPath } = options;
  const [grpcPort, httpPort] = [await freePort(address), await freePort(address)];
  const deaths: string[] = [];
  let child: Bun.Subprocess | undefined;
  let lives = 0;
  let startedAtMs = 0;

  const command = [
    ...[binary(), "serve", "--bind", address, "--port", `${grpcPort}`],
    ...["--http-port", `${httpPort}`, ...args],
  ];
  const running = () => {
    if (child === undefined) throw new Error(`${name} is not running`);
    return child;
  };
  const start = async (disk: "usual" | "full" = "usual") => {
    const stderr = openSync(disk === "full" ? "/dev/full" : logPath, "a");
    const started = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr, env });
    closeSync(stderr);
    child = started;
    lives += 1;
    startedAtMs = performance.now();
    void started.exited.then(() => {
      if (child !== started) return;
      child = undefined;
      deaths.push(`${name} ended by itself: ${started.signalCode ?? started.exitCode}`);
    });
    await listens(address, httpPort, () => child === started);
  };
  return {
    name,
    address,
    grpcPort,
    httpPort,
    life: () => lives,
    ageMs: () => performance.now() - startedAtMs,
    isRunning: () => child !== undefined,
    start,
    signal: async (signal) => {
      const it = running();
      if (ending.includes(signal)) child = undefined;
      it.kill(signal);
      if (ending.includes(signal)) await it.exited;
    },
    limitDescriptors: (more) => {
      const { pid } = running();
      const soft = more === undefined ? 4_096 : systemFigures(pid).descriptors + more;
      const limited = Bun.spawnSync(["prlimit", "--pid", `${pid}`, `--nofile=${soft}:`]);
      if (!limited.success) throw new Error(`prlimit: ${limited.stderr}`);
    },
    figures: () => systemFigures(running().pid),
    log: () => readFileSync(logPath, "utf8").split("\n").filter(Boolean).map(parsed),
    deaths: () => deaths,
  };
}

/** What is not JSON is what a crash prints. */
function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (error) {
    if (error instanceof SyntaxError) return { event: "not json", level: "error", line };
    throw error;
  }
}

async function freePort(address: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Its log may go to a full disk, so whether it serves is asked at its port. */
async function listens(address: string, port: number, isRunning: () => boolean): Promise<void> {
  const untilMs = performance.now() + listensWithinMs;
  while (isRunning() && performance.now() < untilMs) {
    const answered = await fetch(`http://${address}:${port}/healthz`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await Bun.sleep(50);
  }
}
