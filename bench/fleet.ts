/**
 * What following a fleet costs one process: processor time, memory, and how old readings are when
 * they arrive.
 *
 *     bun bench/fleet.ts [nodes…]       default: 10 100 1000
 *
 * Each fleet runs for some seconds twice: with changes between whole snapshots, as agents send
 * them, and with whole snapshots only. The follower is a process of its own and so are the agents;
 * all of it is one machine, so an idle one tells most.
 *
 * @module
 */
import { systemClock } from "#core/clock.ts";
import { agentSource } from "#fleet/agents.ts";
import { followFleet } from "#fleet/follow-agents.ts";
import { fleetStore } from "#fleet/store.ts";
import { nodeAddress } from "./fleet-plan.ts";

const settleMs = 5_000;
const measureMs = 15_000;
const forms = { changes: 30_000, whole: 0 } as const;
const clock = systemClock();

const [mode, ...rest] = process.argv.slice(2);
if (mode === "follower") await follower(rest[0] ?? "");
else {
  const counts = [mode, ...rest].flatMap((text) => (text === undefined ? [] : [Number(text)]));
  for (const count of counts.length > 0 ? counts : [10, 100, 1_000])
    for (const [form, wholeEveryMs] of Object.entries(forms))
      await fleet(count, form, wholeEveryMs);
}

/** One fleet: starts its agents, then a follower, and prints what the follower found. */
async function fleet(count: number, form: string, wholeEveryMs: number): Promise<void> {
  const run = (...args: readonly string[]) =>
    Bun.spawn([process.execPath, ...args], { stdout: "pipe", stderr: "inherit" });
  const agents = run(`${import.meta.dir}/fleet-agents.ts`, String(count), String(wholeEveryMs));
  const ports = JSON.parse(await firstLine(agents.stdout)) as number[];
  const addresses = ports.map((port, node) => `${nodeAddress(node)}:${port}`).join();
  const following = run(import.meta.path, "follower", addresses);
  const found = JSON.parse(await new Response(following.stdout).text()) as object;
  console.log(JSON.stringify({ nodes: count, form, ...found }));
  agents.kill();
  await agents.exited;
}

async function follower(addresses: string): Promise<void> {
  const log = () => {};
  const agents = agentSource(addresses, { clock, log, resolve: async () => [] });
  const store = fleetStore({ clock });
  const view = store.view();
  let agesMs: number[] = [];
  const put: typeof store.put = (report) => {
    store.put(report);
    const sampledAtMs = report.devices[0]?.readings.energyMillijoules;
    if (sampledAtMs !== undefined) agesMs.push(clock.wallMs() - sampledAtMs);
  };
  const emptyRssMib = rssMib();
  const { close } = followFleet({ agents, store: { ...store, put }, clock, log });
  await Bun.sleep(settleMs);

  agesMs = [];
  const startedMs = clock.monotonicMs();
  const before = process.cpuUsage();
  await Bun.sleep(measureMs);
  const { user, system } = process.cpuUsage(before);
  const tookMs = clock.monotonicMs() - startedMs;
  const ages = agesMs.toSorted((one, other) => one - other);
  const quantile = (share: number) =>
    Number((ages[Math.floor(ages.length * share)] ?? Number.NaN).toFixed(1));
  const result = {
    seen: view.nodes.size,
    silent: view.unavailable.length,
    messagesPerSecond: Math.round((ages.length / tookMs) * 1_000),
    coresUsed: Number(((user + system) / 1_000 / tookMs).toFixed(3)),
    rssMib: rssMib(),
    emptyRssMib,
    ageMsP50: quantile(0.5),
    ageMsP99: quantile(0.99),
  };
  process.stdout.write(JSON.stringify(result));
  close();
  process.exit(0);
}

function rssMib(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("\n")) break;
  }
  return text;
}
