/**
 * The compiled binary, as tests start it: built when its sources changed, asked from outside.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, nativeBinary } from "../../tools/build.ts";

const root = join(import.meta.dir, "..", "..");

/** @returns The path of a binary that fits the sources as they are now. */
export function binary(): string {
  const stamp = `${nativeBinary}.sources`;
  const sources = hashOfSources();
  const current =
    existsSync(nativeBinary) && existsSync(stamp) && readFileSync(stamp, "utf8") === sources;
  if (!current) {
    build({ outfile: nativeBinary });
    writeFileSync(stamp, sources);
  }
  return nativeBinary;
}

function hashOfSources(): string {
  const hash = createHash("sha256");
  const inside = [...new Bun.Glob("{src,gen}/**/*.{ts,yaml}").scanSync({ cwd: root })].sort();
  for (const path of [...inside, "tools/build.ts", "package.json", "bun.lock"])
    hash.update(path).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the binary to its end. */
export async function runBinary(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  const child = Bun.spawn([binary(), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...options,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/** A line of the JSON log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

export interface Serving {
  readonly pid: number;
  /** The address that it listens on. */
  readonly bind: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly log: readonly LogLine[];
  /** Waits until a line with this event was written. */
  readonly logged: (event: string) => Promise<LogLine>;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly exited: Promise<number>;
  /** SIGKILL, for the end of a test that does not care how it ends. */
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

export interface ServeOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default 127.0.0.1. */
  readonly bind?: string;
  /** gRPC port; default 0, a free one. */
  readonly port?: number;
  /** Another way to start the binary, with its arguments behind it. */
  readonly command?: readonly string[];
}

/** Starts `serve` on free ports and waits until it says that it serves. */
export async function serveBinary({
  args = [],
  env = {},
  bind = "127.0.0.1",
  port = 0,
  command,
}: ServeOptions): Promise<Serving> {
  const serve = ["serve", "--bind", bind, "--port", `${port}`, "--http-port", "0", ...args];
  const child = Bun.spawn([...(command ?? [binary()]), ...serve], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env,
  });
  const log: LogLine[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const run of [...waiting]) run();
  };
  const reading = readLog(child.stderr, (line) => {
    log.push(line);
    wake();
  }).then(wake);
  let ended = false;
  const exited = Promise.all([child.exited, reading]).then(([code]) => {
    ended = true;
    wake();
    return code;
  });

  const logged = (event: string) =>
    new Promise<LogLine>((resolve, reject) => {
      const look = () => {
        const line = log.find((each) => each.event === event);
        if (line === undefined && !ended) return;
        waiting.delete(look);
        if (line !== undefined) resolve(line);
        else reject(new Error(`ended without "${event}": ${JSON.stringify(log, null, 1)}`));
      };
      waiting.add(look);
      look();
    });
  const { grpcPort, httpPort } = await logged("serving");
  return {
    pid: child.pid,
    bind,
    grpcPort: Number(grpcPort),
    httpPort: Number(httpPort),
    log,
    logged,
    kill: (signal) => child.kill(signal),
    exited,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function readLog(
  stream: ReadableStream<Uint8Array>,
  take: (line: LogLine) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(parseLine(line));
  }
  if (rest !== "") take(parseLine(rest));
}

/** Whatever is not JSON is kept as it came: a crash speaks plain text. */
function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (error) {
    if (error instanceof SyntaxError) return { event: "not json", line };
    throw error;
  }
}
