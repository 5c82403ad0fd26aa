/**
 * The compiled binary under attack, with a well-behaved client beside it.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Serving, serveBinary } from "../support/binary.ts";
import { linesOf } from "../support/lines.ts";

export const attackNames = [
  "frozen-windows",
  "half-open-calls",
  "deaf-streams",
  "silent-sockets",
  "crowd-of-sockets",
  "long-names",
  "buffered-calls",
  "rapid-resets",
  "reflection-flood",
] as const;
export type AttackName = (typeof attackNames)[number];

/** What the well-behaved client saw; a latency is absent where nothing was called. */
export interface ClientFigures {
  readonly calls: number;
  readonly failed: number;
  readonly codes: Readonly<Record<string, number>>;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
  /** Calls on connections that were opened for them. */
  readonly newcomers: { readonly calls: number; readonly failed: number };
}

/** What the attacked process took. */
export interface ProcessFigures {
  readonly rssMebibytes: number;
  readonly descriptors: number;
  readonly openConnections: number;
}

export interface SiegeFigures {
  readonly during: ClientFigures;
  readonly peak: ProcessFigures;
  /** The client's calls of the last seconds, some time after the attackers were killed. */
  readonly after: ClientFigures;
  readonly rest: ProcessFigures;
}

export interface SiegeOptions {
  readonly attack: AttackName;
  /** Addresses that the attack comes from. */
  readonly peers: number;
  /** Push streams that the well-behaved client holds. */
  readonly streams: number;
  readonly attackMs: number;
  /** From the end of the attack to the look at what is left of it. */
  readonly recoveryMs: number;
  /** More flags of the attacked process. */
  readonly args?: readonly string[];
}

/** Runs one attack against a process of its own, and says how both fared. */
export async function siege(options: SiegeOptions): Promise<SiegeFigures> {
  const { attack, peers, streams, attackMs, recoveryMs, args = [] } = options;
  await using serving = await serveBinary({ args: ["--collector", "mock", ...args] });
  await using client = await goodClient(serving.grpcPort, streams);
  const peak = watchPeak(serving);

  const attacker = Bun.spawn(
    ["node", program("attack.mjs"), attack, `${serving.grpcPort}`, `${peers}`],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  await firstLine(attacker.stdout);
  await client.figures();
  await Bun.sleep(attackMs);
  const during = await client.figures();
  attacker.kill("SIGKILL");
  await attacker.exited;

  await Bun.sleep(recoveryMs);
  await client.figures();
  await Bun.sleep(1_000);
  return {
    during,
    peak: peak.stop(),
    after: await client.figures(),
    rest: await processFigures(serving),
  };
}

interface GoodClient extends AsyncDisposable {
  /** What was seen since the last call of this. */
  readonly figures: () => Promise<ClientFigures>;
}

async function goodClient(port: number, streams: number): Promise<GoodClient> {
  const child = Bun.spawn(["node", program("good-client.mjs"), `${port}`, `${streams}`], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const next = lines(child.stdout);
  await next();
  return {
    figures: async () => {
      child.stdin.write("figures\n");
      await child.stdin.flush();
      return JSON.parse(await next()) as ClientFigures;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

function program(name: string): string {
  return join(import.meta.dir, name);
}

/** Reads a stream line by line; throws where it ends. */
function lines(stream: ReadableStream<Uint8Array>): () => Promise<string> {
  const all = linesOf(stream);
  return async () => {
    const { value } = await all.next();
    if (value === undefined) throw new Error("The process ended before it answered");
    return value;
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  return lines(stream)();
}

const lookEveryMs = 250;

/** Follows the greatest figures of a process until it is stopped. */
function watchPeak(serving: Serving): { readonly stop: () => ProcessFigures } {
  let peak = { rssMebibytes: 0, descriptors: 0, openConnections: 0 };
  const look = () => {
    const { rssMebibytes, descriptors } = systemFigures(serving.pid);
    peak = {
      ...peak,
      rssMebibytes: Math.max(peak.rssMebibytes, rssMebibytes),
      descriptors: Math.max(peak.descriptors, descriptors),
    };
  };
  const timer = setInterval(look, lookEveryMs);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

export function systemFigures(pid: number): {
  readonly rssMebibytes: number;
  readonly descriptors: number;
} {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
  return {
    rssMebibytes: Math.round(kibibytes / 1024),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

async function processFigures(serving: Serving): Promise<ProcessFigures> {
  const response = await fetch(`http://${serving.bind}:${serving.httpPort}/metrics`);
  const page = await response.text();
  const open = /^keda_gpu_scaler_connections (\d+)/m.exec(page)?.[1];
  return { ...systemFigures(serving.pid), openConnections: Number(open ?? Number.NaN) };
}
