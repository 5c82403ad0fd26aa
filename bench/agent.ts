/**
 * What an agent costs its node, as a process: processor time and memory, at a sample a second, with the
 * kubelet asked and one scaler that follows.
 *
 *     bun bench/agent.ts [SECONDS [BINARY]]       default: 60 s each, of the sources
 *
 * NVML is the C stand-in, which answers at once: a real driver adds its own time, which is not this
 * process's work but counts as its time. The first line is a process that only listens.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { watchAgent } from "#telemetry/watch.ts";
import { fakeKubelet } from "../test/fake-kubelet/fake-kubelet.ts";
import { nvmlStandin, type StandinState } from "../test/nvml-standin/control.ts";
import { migGpu } from "./mig-gpu.ts";

const [seconds = "60", binary] = process.argv.slice(2);
const program = binary === undefined ? [process.execPath, "src/main.ts"] : [binary];
const settleMs = 5_000;
const ticksPerSecond = 100;

const cases: Readonly<Record<string, StandinState>> = {
  "no GPU": { gpus: 0 },
  "8 GPUs": { gpus: 8 },
  "64 MIG instances of 10 GPUs": {
    gpus: Array.from({ length: 10 }, (_none, at) => migGpu(at < 9 ? 7 : 1)),
  },
};

const folder = mkdtempSync(join(tmpdir(), "bench-agent-"));
for (const [name, state] of Object.entries(cases)) console.log(name, await measure(state));
rmSync(folder, { recursive: true });

async function measure(state: StandinState) {
  const nvml = await nvmlStandin({ logsCalls: false });
  nvml.set(state);
  const kubelet = await fakeKubelet(join(folder, "kubelet.sock"));
  const agent = Bun.spawn(
    [
      ...program,
      ...["serve", "--role", "agent", "--collector", "nvml", "--bind", "127.0.0.1"],
      ...["--nvml-library", nvml.libraryPath, "--pod-resources-socket", kubelet.socketPath],
      ...["--port", "16000", "--http-port", "16001", "--log-level", "error"],
    ],
    { env: { ...process.env, ...nvml.env }, stdout: "ignore", stderr: "inherit" },
  );
  await Bun.sleep(2_000);
  let bytes = 0;
  const stop = new AbortController();
  const watched = watchAgent({
    address: "127.0.0.1",
    port: 16_000,
    clock: systemClock(),
    signal: stop.signal,
    onSnapshot: ({ values }) => {
      bytes += values.length;
    },
  }).catch(() => undefined);
  await Bun.sleep(settleMs);
  const before = await usageOf(agent.pid);
  await Bun.sleep(Number(seconds) * 1_000);
  const after = await usageOf(agent.pid);
  stop.abort();
  await watched;
  agent.kill("SIGTERM");
  await agent.exited;
  await kubelet.vanish();
  nvml.remove();
  const cpuSeconds = (after.ticks - before.ticks) / ticksPerSecond;
  return `${((100 * cpuSeconds) / Number(seconds)).toFixed(2)} % of a core, RSS ${after.rssMib.toFixed(0)} MiB, ${bytes} values sent`;
}

async function usageOf(pid: number) {
  const fields = (await Bun.file(`/proc/${pid}/stat`).text()).split(") ")[1]?.split(" ") ?? [];
  const status = await Bun.file(`/proc/${pid}/status`).text();
  const rssKib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { ticks: Number(fields[11]) + Number(fields[12]), rssMib: rssKib / 1024 };
}
