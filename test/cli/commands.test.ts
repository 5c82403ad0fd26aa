import { describe, expect, test } from "bun:test";
import { parseArguments } from "#cli/arguments.ts";
import { collectorOptions } from "#cli/collector-flags.ts";
import type { Environment } from "#cli/command.ts";
import { commands } from "#cli/commands/all.ts";
import { serveOptions } from "#cli/commands/serve.ts";

const laptop: Environment = {
  hostname: "laptop",
  nodeName: undefined,
  kubernetesHost: undefined,
  kubernetesPort: undefined,
};
const optionsOf = (args: string[], environment = laptop) =>
  serveOptions(parseArguments("serve", commands.serve, args).flags, environment);

describe("what serve is told", () => {
  test("without flags, on a laptop", () => {
    expect(optionsOf([])).toEqual({
      role: "all",
      bind: "0.0.0.0",
      grpcPort: 6000,
      httpPort: 9090,
      connectionAgeMs: 600_000,
      streamsMax: 2_500,
      hasReflection: true,
      hasPage: true,
      nodeName: "laptop",
      collector: { collector: "auto" },
      sampleIntervalMs: 1_000,
      deviceWatchdogMs: 60_000,
      agentService: "keda-gpu-scaler-agent",
      service: "keda-gpu-scaler",
      allowedEndpoints: [],
      allowHostNetwork: false,
      allowedScopes: ["workload", "node", "cluster"],
      deletionCost: false,
      hasEvents: true,
    });
  });

  test("tells processes apart by the node's own procfs, and needs to be told to", () => {
    expect(optionsOf(["--process-attribution"]).procRoot).toBe("/proc");
    expect(() => optionsOf(["--proc-root", "/host/proc"])).toThrow(
      "Cannot tell processes apart: --proc-root is for --process-attribution",
    );
  });

  test("with every flag", () => {
    const flags = {
      role: "scaler",
      bind: "127.0.0.1",
      port: "1",
      "http-port": "2",
      "connection-age": "3s",
      "max-streams": "7",
      "node-name": "node-a",
      collector: "mock",
      mock: "mock.yaml",
      "sample-interval": "400ms",
      "device-watchdog": "5s",
      "pod-resources-socket": "/kubelet.sock",
      kubeconfig: "/kubeconfig",
      namespace: "keda",
      agents: "a:6",
      "agent-service": "agents",
      service: "scaler",
      profiles: "profiles.yaml",
      "allow-endpoint": "a,b",
      "allow-scope": "workload",
      "proc-root": "/host/proc",
      "engine-token-dir": "/tokens",
      "engine-ca-dir": "/authorities",
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    args.push("--no-reflection", "--no-page", "--no-events");
    args.push("--allow-host-network", "--deletion-cost", "--process-attribution");
    expect(optionsOf(args)).toEqual({
      role: "scaler",
      bind: "127.0.0.1",
      grpcPort: 1,
      httpPort: 2,
      connectionAgeMs: 3_000,
      streamsMax: 7,
      hasReflection: false,
      hasPage: false,
      nodeName: "node-a",
      collector: { collector: "mock", mockFile: "mock.yaml" },
      sampleIntervalMs: 400,
      deviceWatchdogMs: 5_000,
      podResourcesSocket: "/kubelet.sock",
      kubeconfig: "/kubeconfig",
      namespace: "keda",
      agents: "a:6",
      agentService: "agents",
      service: "scaler",
      profilesFile: "profiles.yaml",
      allowedEndpoints: ["a", "b"],
      allowHostNetwork: true,
      allowedScopes: ["workload"],
      engineTokenDirectory: "/tokens",
      engineCaDirectory: "/authorities",
      procRoot: "/host/proc",
      deletionCost: true,
      hasEvents: false,
    });
  });

  test("by the environment of a pod, which gives way to a flag", () => {
    const pod = {
      ...laptop,
      nodeName: "node-b",
      kubernetesHost: "10.0.0.1",
      kubernetesPort: "443",
    };
    expect(optionsOf([], pod)).toMatchObject({
      nodeName: "node-b",
      kubernetesAddress: { host: "10.0.0.1", port: "443" },
    });
    expect(optionsOf(["--node-name", "node-a"], pod).nodeName).toBe("node-a");
  });

  test.each([
    { ...laptop, kubernetesHost: "10.0.0.1" },
    { ...laptop, kubernetesPort: "443" },
  ])("half an address is none: %j", (environment) => {
    expect(optionsOf([], environment).kubernetesAddress).toBeUndefined();
  });
});

describe("TLS", () => {
  const pair = ["--tls-cert", "tls.crt", "--tls-key", "tls.key"];
  const mutual = [...pair, "--tls-client-ca", "ca.crt"];
  const tlsOf = (...args: string[]) => optionsOf(args, laptop).tls;

  test("is off without its flags", () => {
    expect(tlsOf()).toBeUndefined();
  });

  test.each([
    [[], ["keda-operator", "keda-operator-metrics-apiserver"]],
    [
      ["--role", "scaler"],
      ["keda-operator", "keda-operator-metrics-apiserver"],
    ],
    [["--role", "agent"], ["keda-gpu-scaler"]],
    [["--role", "agent", "--service", "gpu"], ["gpu"]],
    [
      ["--tls-client-names", "a,b.example"],
      ["a", "b.example"],
    ],
  ])("%j answers %j", (args, clientNames) => {
    const files = { certFile: "tls.crt", keyFile: "tls.key", clientCaFile: "ca.crt" };
    expect(tlsOf(...mutual, ...args)).toEqual({ ...files, clientNames });
  });

  test.each([
    [["--tls-cert", "a"], "--tls-cert needs --tls-key"],
    [["--tls-key", "a"], "--tls-key needs --tls-cert"],
    [["--tls-client-ca", "a"], "--tls-client-ca needs --tls-cert and --tls-key"],
    [[...pair, "--tls-client-names", "a"], "--tls-client-names needs --tls-client-ca"],
    [[...mutual, "--tls-client-names", "a, b"], "--tls-client-names must be DNS names"],
  ])("%j is refused", (args, problem) => {
    expect(() => tlsOf(...args)).toThrow(problem);
  });
});

describe("a collector", () => {
  const collectorOf = (...args: string[]) =>
    collectorOptions(parseArguments("snapshot", commands.snapshot, args).flags, {});

  test("may be told which exporter it reads, and knows the node's addresses", () => {
    const flags = (...args: string[]) =>
      parseArguments("snapshot", commands.snapshot, ["--collector", "exporter", ...args]).flags;
    const nodeIp = "10.0.0.7,fd00::7";
    expect(collectorOptions(flags("--exporter", "gaudi"), { nodeIp }).exporter).toEqual({
      table: "gaudi",
      nodeAddresses: ["10.0.0.7", "fd00::7"],
    });
    const url = "http://[fd00::7]:1/metrics";
    const named = flags("--exporter", "./t.yaml", "--exporter-url", url);
    expect(collectorOptions(named, { nodeIp }).exporter).toMatchObject({ table: "./t.yaml", url });
    expect(() => collectorOptions(named, {})).toThrow("NODE_IP does not say");
  });

  test.each<[readonly string[], string]>([
    [["--collector", "exporter"], "--collector exporter needs --exporter, and there is none"],
    [["--exporter-url", "http://127.0.0.1:1"], "--exporter-url needs --exporter"],
    [
      ["--collector", "nvml", "--exporter", "gaudi"],
      "--exporter is for --collector exporter or auto, got --collector nvml",
    ],
    [["--exporter", "guadi"], "--exporter must be gaudi, neuron, tpu, xpum, amd, dcgm or"],
  ])("%j is refused", (args, problem) => {
    expect(() => collectorOf(...args)).toThrow(problem);
  });

  test("may be told which library or file it reads", () => {
    expect(collectorOf("--nvml-library", "/x.so")).toEqual({
      collector: "auto",
      nvmlLibrary: "/x.so",
    });
    expect(collectorOf("--collector", "mock", "--mock", "m.yaml")).toEqual({
      collector: "mock",
      mockFile: "m.yaml",
    });
    expect(collectorOf("--collector", "mock")).toEqual({ collector: "mock" });
    expect(collectorOf("--collector", "amdgpu", "--sysfs-root", "/host/sys")).toEqual({
      collector: "amdgpu",
      sysfsRoot: "/host/sys",
    });
    expect(collectorOf("--sysfs-root", "/host/sys")).toMatchObject({ collector: "auto" });
  });

  test.each([
    [["--mock", "m.yaml"], "--mock is for --collector mock, got --collector auto"],
    [
      ["--collector", "mock", "--nvml-library", "/x.so"],
      "--nvml-library is for --collector nvml or auto, got --collector mock",
    ],
    [
      ["--collector", "amdgpu", "--nvml-library", "/x.so"],
      "--nvml-library is for --collector nvml or auto, got --collector amdgpu",
    ],
    [
      ["--collector", "nvml", "--sysfs-root", "/host/sys"],
      "--sysfs-root is for --collector amdgpu or auto, got --collector nvml",
    ],
  ])("refuses %j", (args, problem) => {
    expect(() => collectorOf(...args)).toThrow(
      expect.objectContaining({
        code: "usage-invalid",
        message: `Cannot choose a collector: ${problem}`,
        facts: { problems: [problem] },
      }),
    );
  });
});
