/**
 * A GPU node: an agent of the compiled binary, with a mock driver and a kubelet of its own.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readings } from "#metric/reading.ts";
import { type FakeKubelet, fakeKubelet, podWith } from "../fake-kubelet/fake-kubelet.ts";
import { type Serving, serveBinary } from "../support/binary.ts";

/** One GPU of a node. Its index is its place in the list. */
export interface Gpu {
  /** What its uuid is made of; default: its place in the list. */
  readonly id?: number;
  readonly percent: number;
  /** PCIe traffic from it, which is read only while somebody demands it; default: it has none. */
  readonly pcieTxKbps?: number;
  /** What it reads besides. */
  readonly readings?: Readings;
  /** Who holds it: `pod`, or `namespace/pod`. */
  readonly pod?: string;
  /** Gone from the bus. */
  readonly lost?: boolean;
}

export interface GpuNode extends AsyncDisposable {
  readonly name: string;
  /** A loopback address of its own: an agent is known by its address. */
  readonly address: string;
  readonly kubelet: FakeKubelet;
  /** The agent that runs now, or ran last. */
  readonly agent: () => Serving;
  /** Sets which GPUs there are, how busy, and what the kubelet says of them. */
  readonly gpus: (gpus: readonly Gpu[]) => void;
  /** Sets what is read of the GPUs, and leaves the kubelet's word as it is. */
  readonly readings: (gpus: readonly Gpu[]) => void;
  /** Starts the agent again at the port that it had; from another binary, where one is named. */
  readonly restart: (binaryPath?: string) => Promise<void>;
}

export interface GpuNodeOptions {
  readonly name: string;
  /** From 1: its address and its GPUs' uuids are made of it. */
  readonly number: number;
  /** For its mock file and its kubelet's socket. */
  readonly folder: string;
  /** What its process is. */
  readonly role: readonly string[];
  /** Default: that of these sources. */
  readonly binaryPath?: string | undefined;
}

export async function gpuNode({
  name,
  number,
  folder,
  role,
  binaryPath,
}: GpuNodeOptions): Promise<GpuNode> {
  const mockFile = join(folder, `${name}.yaml`);
  const kubelet = await fakeKubelet(join(folder, `${name}.sock`));
  const address = `127.0.0.${number + 1}`;
  const uuid = (id: number) => `GPU-${`${number}`.padStart(8, "0")}-0000-4000-8000-${id}`;

  const readings: GpuNode["readings"] = (gpus) => {
    const devices = gpus.map(
      ({ id, percent, pcieTxKbps, readings: more, lost = false }, index) => ({
        uuid: uuid(id ?? index),
        index,
        readings: {
          utilizationPercent: percent,
          ...more,
          ...(pcieTxKbps === undefined ? {} : { pcieTxKilobytesPerSecond: pcieTxKbps }),
        },
        ...(lost ? { faults: { lost: true } } : {}),
      }),
    );
    writeFileSync(mockFile, JSON.stringify({ devices }));
  };
  const gpus: GpuNode["gpus"] = (all) => {
    const held = all.flatMap(({ id, pod }, index) => {
      const [podName, namespace = "default"] = (pod ?? "").split("/").toReversed();
      if (podName === undefined || podName === "") return [];
      return [podWith(podName, "nvidia.com/gpu", [uuid(id ?? index)], { namespace })];
    });
    kubelet.set(held);
    // A new version of the file is a new driver session, and that has the agent ask the kubelet anew.
    readings(all);
  };
  const start = (port: number, path: string | undefined) =>
    serveBinary({
      bind: address,
      port,
      ...(path === undefined ? {} : { command: [path] }),
      args: [
        ...role,
        ...["--node-name", name, "--collector", "mock", "--mock", mockFile],
        ...["--pod-resources-socket", kubelet.socketPath, "--sample-interval", "200ms"],
      ],
    });

  gpus([]);
  let agent = await start(0, binaryPath);
  return {
    name,
    address,
    kubelet,
    agent: () => agent,
    gpus,
    readings,
    restart: async (path = binaryPath) => {
      agent.kill("SIGKILL");
      await agent.exited;
      agent = await start(agent.grpcPort, path);
    },
    [Symbol.asyncDispose]: async () => {
      await agent[Symbol.asyncDispose]();
      await kubelet.vanish();
    },
  };
}
