import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseArguments } from "#cli/arguments.ts";
import { commands } from "#cli/commands/all.ts";
import { serveOptions } from "#cli/commands/serve.ts";
import { manifestsPath } from "../../tools/render-manifests.ts";
import { containerOf, workloadsOf } from "../deploy/invariants.ts";
import { parseObjects } from "../deploy/kinds.ts";
import { foreignClient } from "../foreign/client.ts";
import { runBinary, serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";
import { connectScaler } from "./scaler.ts";
import { clusterScene } from "./scene.ts";

setDefaultTimeout(60_000);

const outsideCluster = {
  hostname: "host",
  nodeName: undefined,
  kubernetesHost: undefined,
  kubernetesPort: undefined,
};
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

/** What a call by hand asks with: no ScaledObject stands behind it. */
const ofNode = (node: string) => ({ name: "", namespace: "", scalerMetadata: { node } });

describe("serve refuses with exit 2 and one line", () => {
  test.each([
    [
      ["--role", "scaler"],
      "Cannot run --role scaler: it needs the Kubernetes API (as a pod, or with --kubeconfig) or --agents",
    ],
    [["--role", "both"], '--role must be one of all, agent, scaler, got "both"'],
    [["--role", "scaler", "--agents", "host"], "--agents must be HOST:PORT"],
    [["--role", "scaler", "--agents", "host:0"], "a port from 1 to 65535"],
    [["--role", "scaler", "--agents", "dns:///host:70000"], "a port from 1 to 65535"],
    [["--node-name", "Node A"], "--node-name must be a Kubernetes name"],
  ])("%j", async (args, line) => {
    const ports = ["--port", "0", "--http-port", "0", "--bind", "127.0.0.1"];
    const { exitCode, stderr } = await runBinary(["serve", ...ports, ...args], { env: {} });
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(exitCode).toBe(2);
  });

  test("a kubeconfig that is not there is exit 1 and one line", async () => {
    const args = ["serve", "--role", "scaler", "--kubeconfig", "/nowhere/kubeconfig"];
    const { exitCode, stderr } = await runBinary(args, { env: {} });
    expect(stderr).toContain("/nowhere/kubeconfig");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(exitCode).toBe(1);
  });
});

describe("without a Kubernetes API", () => {
  test("--agents dns:///NAME follows every address of a name, and --node-name names the node", async () => {
    const mock = ["--collector", "mock", "--sample-interval", "200ms"];
    await using agent = await serveBinary({
      args: ["--role", "agent", "--node-name", "gpu-box-7", ...mock],
      env: { NODE_NAME: "not-this" },
    });
    await using serving = await serveBinary({
      args: ["--role", "scaler", "--agents", `dns:///localhost:${agent.grpcPort}`],
    });
    const { value, refusal, gauge } = await connectScaler(serving, keda);
    await eventually(() => value(ofNode("gpu-box-7")), expect.any(Number));
    expect(await gauge("keda_gpu_scaler_fleet_devices")).toBe(4);
    expect(await value(ofNode("not-this"))).toBe("NOT_FOUND");
    expect(await refusal(ofNode("not-this"))).toContain("gpu-box-7");
  });

  test("--agents follows each that is named, and NODE_NAME names the node", async () => {
    const mock = ["--collector", "mock", "--sample-interval", "200ms"];
    const start = (node: string) =>
      serveBinary({ args: ["--role", "agent", ...mock], env: { NODE_NAME: node } });
    await using one = await start("box-1");
    await using two = await start("box-2");
    const agents = [one, two].map(({ grpcPort }) => `127.0.0.1:${grpcPort}`).join();
    await using serving = await serveBinary({ args: ["--role", "scaler", "--agents", agents] });
    const { value, ready } = await connectScaler(serving, keda);
    await eventually(ready, "ok");
    for (const node of ["box-1", "box-2"])
      expect(await value(ofNode(node))).toEqual(expect.any(Number));
    const cluster = { ...ofNode(""), scalerMetadata: { scope: "cluster" } };
    expect(await value(cluster)).toEqual(expect.any(Number));
  });
});

describe("role all on every node, with the Kubernetes API", () => {
  test("answers for pods on its own node, and UNAVAILABLE for others, never a part", async () => {
    await using scene = await clusterScene({ keda, nodes: ["node-a", "node-b"], daemonSet: true });
    const [first, second] = [await scene.daemon("node-a"), await scene.daemon("node-b")];
    scene.node("node-a").gpus([
      { percent: 30, pod: "near-0" },
      { percent: 60, pod: "near-1" },
    ]);
    scene.node("node-b").gpus([{ percent: 99, pod: "far-0" }]);
    const near = scene.workload({
      name: "near",
      pods: ["near-0", "near-1"].map((name) => ({ name, node: "node-a" })),
    });
    const far = scene.workload({ name: "far", pods: [{ name: "far-0", node: "node-b" }] });
    await eventually(() => first.value(near), 90);
    await eventually(() => second.value(far), 99);
    await eventually(() => first.refusal(far), expect.stringContaining("no agent reports node"));
    expect([await first.value(far), await second.value(near)]).toEqual([
      "UNAVAILABLE",
      "UNAVAILABLE",
    ]);
    expect([await first.ready(), await second.ready()]).toEqual(["ok", "ok"]);
  });
});

describe("deploy/manifests.yaml", () => {
  test("the arguments of every container are those of the binary, and fit each other", async () => {
    const objects = parseObjects(await Bun.file(manifestsPath).text());
    const roles = workloadsOf(objects).map((workload) => {
      const [command, ...args] = containerOf(workload).args ?? [];
      expect(command).toBe("serve");
      const flags = parseArguments("serve", commands.serve, args).flags;
      expect(() => serveOptions(flags, outsideCluster)).not.toThrow();
      return `${workload.kind} ${flags.role}`;
    });
    expect(roles.toSorted()).toEqual(["DaemonSet agent", "Deployment scaler"]);
  });
});
