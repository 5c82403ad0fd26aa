/**
 * The compiled binary as an agent whose GPU two pods share: from the kubelet's word to the calls on the
 * driver, and from the driver's processes to the stream.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { type NodeSnapshot, Use } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { watchAgent } from "#telemetry/watch.ts";
import { uuidOf } from "../device/nvml-harness.ts";
import { type FakeKubelet, fakeKubelet, podWith } from "../fake-kubelet/fake-kubelet.ts";
import { nvmlStandin, type Standin } from "../nvml-standin/control.ts";
import { serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "attribution-"));
const utilization = "nvmlDeviceGetProcessUtilization";
const podUids = [1, 2].map((n) => `3f2504e0-4f89-11d3-9a0c-00000000000${n}`);
let kubelet: FakeKubelet;
let nvml: Standin;
beforeAll(async () => {
  kubelet = await fakeKubelet(join(folder, "kubelet.sock"));
  kubelet.set([
    podWith("a", "nvidia.com/gpu", [`${uuidOf(1)}::0`]),
    podWith("b", "nvidia.com/gpu", [`${uuidOf(1)}::3`]),
    podWith("c", "nvidia.com/gpu", [uuidOf(0)]),
  ]);
  nvml = await nvmlStandin();
  const processes = [
    { pid: 100, memoryBytes: 1_000, smPercent: 60 },
    { pid: 200, memoryBytes: 3_000, smPercent: 20 },
  ];
  for (const [at, { pid }] of processes.entries()) {
    mkdirSync(join(folder, `${pid}`));
    writeFileSync(join(folder, `${pid}`, "stat"), `${pid} (python3) S${" 1".repeat(19)}\n`);
    writeFileSync(join(folder, `${pid}`, "cgroup"), `0::/kubepods/pod${podUids[at]}/1\n`);
  }
  nvml.set({ gpus: 2, each: { processes } });
});
afterAll(async () => {
  await kubelet.vanish();
  nvml.remove();
  rmSync(folder, { recursive: true });
});

/** The newest message of an agent, for as long as `use` takes. */
async function withAgent(
  flags: readonly string[],
  use: (latest: () => NodeSnapshot | undefined) => Promise<void>,
): Promise<void> {
  const collector = ["--collector", "nvml", "--nvml-library", nvml.libraryPath];
  const args = ["--role", "agent", ...collector, "--sample-interval", "100ms"];
  await using serving = await serveBinary({
    args: [...args, "--pod-resources-socket", kubelet.socketPath, ...flags],
    env: nvml.env,
  });
  let latest: NodeSnapshot | undefined;
  let isHeld = false;
  const ending = new AbortController();
  const watching = watchAgent({
    address: "127.0.0.1",
    port: serving.grpcPort,
    clock: systemClock(),
    signal: ending.signal,
    onSnapshot: (snapshot) => {
      isHeld ||= snapshot.state?.devices.some(({ holders }) => holders.length === 2) ?? false;
      if (isHeld) latest = snapshot;
    },
  }).catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
  await use(() => latest);
  ending.abort();
  await watching;
}

test("tells the uses of the GPU that is shared, and of that one alone", () =>
  withAgent(["--process-attribution", "--proc-root", folder], async (latest) => {
    await eventually(
      async () => latest()?.deviceUses,
      [
        { position: 1, use: Use.SM, podUids, parts: [0.75, 0.25] },
        { position: 1, use: Use.MEMORY, podUids, parts: [0.25, 0.75] },
      ].map((one) => expect.objectContaining(one)),
    );
    const lists = nvml.calls().get("nvmlDeviceGetComputeRunningProcesses_v3");
    expect(lists).toBe(1);
    expect(nvml.calls().get(utilization)).toBeGreaterThan(0);
  }));

test("does not ask the driver without the flag", async () => {
  nvml.forgetCalls();
  await withAgent([], async (latest) => {
    await eventually(async () => latest() !== undefined, true);
    expect(latest()?.deviceUses).toEqual([]);
    expect(nvml.calls().get(utilization)).toBeUndefined();
  });
});
