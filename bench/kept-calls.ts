/**
 * An answer of the compiled binary beside the servers of `floor.ts`: for `kept.ts`.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { serveBinary } from "../test/support/binary.ts";

/** Of one load. CPU is that of the server. */
export interface Load {
  readonly cpuMsPerCall: number;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

const floors = { "bare HTTP/2": "http2", "bare Connect": "connect" } as const;
export type FloorName = keyof typeof floors;

/**
 * The loads of each server, which alternate.
 *
 * @returns By name; the binary's under `ours`.
 */
export async function measureCalls(
  names: readonly FloorName[],
  {
    rounds,
    calls,
    callers,
  }: { readonly rounds: number; readonly calls: number; readonly callers: number },
): Promise<Readonly<Record<string, readonly Load[]>>> {
  await using open = new AsyncDisposableStack();
  const servers: [name: string, server: Server][] = [["ours", open.use(await ownServer())]];
  for (const name of names) servers.push([name, open.use(await floorServer(floors[name]))]);
  const loads = servers.map((): Load[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [at, [, server]] of servers.entries())
      loads[at]?.push(await load(server, { calls, callers }));
  return Object.fromEntries(servers.map(([name], at) => [name, loads[at] ?? []]));
}

async function ownServer(): Promise<Server> {
  const serving = await serveBinary({ args: ["--collector", "mock"] });
  const { pid, grpcPort, httpPort } = serving;
  const isReady = async () => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok;
  while (!(await isReady())) await Bun.sleep(20);
  return { pid, port: grpcPort, [Symbol.asyncDispose]: serving[Symbol.asyncDispose] };
}

async function floorServer(kind: string): Promise<Server> {
  const program = join(import.meta.dir, "floor.ts");
  const child = Bun.spawn([process.execPath, program, kind], { stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  return {
    pid: child.pid,
    port: Number(new TextDecoder().decode(value)),
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
    },
  };
}

async function load(
  { pid, port }: Server,
  request: { readonly calls: number; readonly callers: number },
): Promise<Load> {
  const metadata = { targetGpuUtilization: "80" };
  const program = join(import.meta.dir, "load.mjs");
  const cpuFromMs = cpuMs(pid);
  const client = Bun.spawn(
    ["node", program, String(port), JSON.stringify({ ...request, metadata })],
    { stdout: "pipe", stderr: "inherit" },
  );
  const found = JSON.parse(await new Response(client.stdout).text()) as Omit<
    Load,
    "cpuMsPerCall"
  > & {
    readonly failed: number;
  };
  if (found.failed > 0) throw new Error(`${found.failed} calls failed`);
  return { ...found, cpuMsPerCall: (cpuMs(pid) - cpuFromMs) / request.calls };
}

/** Of every thread that is alive, from /proc, in nanoseconds there. */
function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const task of readdirSync(tasks))
    nanoseconds += Number(readFileSync(join(tasks, task, "schedstat"), "utf8").split(" ")[0]);
  return nanoseconds / 1e6;
}
