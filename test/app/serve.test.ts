import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { ServeOptions } from "#app/options.ts";
import { serve } from "#app/serve.ts";
import { systemClock } from "#core/clock.ts";
import { connectionAgeMs, streamsMax } from "#core/limits.ts";
import type { Facts } from "#core/log.ts";
import { ExternalScaler } from "#gen/externalscaler/externalscaler_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "#gen/grpc/health/v1/health_pb.ts";
import { fakeKubelet, podWith } from "../fake-kubelet/fake-kubelet.ts";
import { startFake, stopAll, temporaryDirectory, whenOver } from "../fake-kubernetes/harness.ts";
import {
  endpointSlice,
  podObject,
  scalableObject,
  scaledObject,
} from "../fake-kubernetes/objects.ts";
import { eventually } from "../support/eventually.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);
afterEach(stopAll);

/** What serve does with defaults, and with devices of these utilizations. */
async function optionsWith(
  percents: readonly number[],
  options: Partial<ServeOptions> = {},
): Promise<ServeOptions> {
  const mockFile = join(await temporaryDirectory(), "mock.yaml");
  const devices = percents.map((utilizationPercent, gpu) => ({
    uuid: `GPU-${gpu}`,
    readings: { utilizationPercent, pcieTxKilobytesPerSecond: 8 },
  }));
  await writeFile(mockFile, JSON.stringify({ devices }));
  return {
    role: "all",
    bind: "127.0.0.1",
    grpcPort: 0,
    httpPort: 0,
    connectionAgeMs,
    streamsMax,
    hasReflection: true,
    hasPage: true,
    nodeName: "node-a",
    collector: { collector: "mock", mockFile },
    sampleIntervalMs: 100,
    deviceWatchdogMs: 60_000,
    agentService: "agents",
    service: "gpu",
    allowedEndpoints: [],
    allowHostNetwork: false,
    deletionCost: false,
    hasEvents: false,
    allowedScopes: ["workload", "node", "cluster"],
    ...options,
  };
}

type Line = Facts & { readonly event: string };

/** Starts a process in this one, and waits until it serves. */
async function started(options: ServeOptions) {
  const log: Line[] = [];
  const stop = Promise.withResolvers<string>();
  const exitCode = serve(options, {
    clock: systemClock(),
    log: (_level, event, facts = {}) => log.push({ ...facts, event }),
    random: Math.random,
    version: "1.2.3",
    revision: "abc",
    stopSignal: stop.promise,
  });
  const logged = (event: string) => log.find((line) => line.event === event);
  await Promise.race([exitCode, until(() => logged("serving") !== undefined)]);
  const { grpcPort, httpPort }: Facts = logged("serving") ?? {};
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` });
  const keda = createClient(ExternalScaler, transport);
  const page = async (path: string) =>
    (await (await fetch(`http://127.0.0.1:${httpPort}${path}`)).text()).trim();
  const process = {
    exitCode,
    log,
    logged,
    grpcPort: Number(grpcPort),
    httpPort: Number(httpPort),
    ready: () => page("/readyz"),
    /** The number of a series of `/metrics`. */
    series: async (name: string) => {
      const lines = (await page("/metrics")).split("\n");
      const line = lines.find((each) => each.startsWith(`keda_gpu_scaler_${name} `));
      return line === undefined ? undefined : Number(line.split(" ").at(-1));
    },
    health: async () =>
      HealthCheckResponse_ServingStatus[(await createClient(Health, transport).check({})).status],
    /** The value, or what the error says. */
    value: async (scalerMetadata: Readonly<Record<string, string>>, name = "", namespace = "") => {
      const scaledObjectRef = { name, namespace, scalerMetadata: { ...scalerMetadata } };
      try {
        const { metricValues } = await keda.getMetrics({ scaledObjectRef, metricName: "" });
        return metricValues[0]?.metricValueFloat;
      } catch (error) {
        return ConnectError.from(error).rawMessage;
      }
    },
    code: async (scalerMetadata: Readonly<Record<string, string>>) => {
      const outcome = keda.isActive({
        name: "",
        namespace: "",
        scalerMetadata: { ...scalerMetadata },
      });
      return outcome.then(
        () => "OK",
        (error: unknown) => Code[ConnectError.from(error).code],
      );
    },
    stop: () => stop.resolve("SIGTERM"),
  };
  whenOver(async () => {
    process.stop();
    await exitCode;
  });
  return process;
}

describe("role all", () => {
  test("reads its own devices and answers KEDA with them, until it is stopped", async () => {
    const options = await optionsWith([40, 90]);
    const process = await started(options);
    const { ready, value, series, health, log, exitCode } = process;
    await eventually(ready, "ok");
    expect(await health()).toBe("SERVING");
    expect(await value({})).toBe(90);
    expect(await value({ aggregation: "min" })).toBe(40);
    expect(await series("gpu_device_count")).toBe(2);
    expect(await series("data_fresh")).toBe(1);
    expect(await series("collections_total")).toBeGreaterThan(0);
    expect(await series("collection_duration_seconds_count")).toBeGreaterThan(0);
    expect(await series("fleet_nodes")).toBeUndefined();
    const call = 'method="externalscaler.ExternalScaler/GetMetrics"';
    expect(await series(`scaler_requests_total{${call},code="OK"}`)).toBe(2);
    expect(await series("connections")).toBeGreaterThan(0);
    expect(await series("streams")).toBe(0);

    process.stop();
    expect(await exitCode).toBe(0);
    expect(log[0]).toEqual({
      event: "starting",
      version: "1.2.3",
      revision: "abc",
      role: "all",
      collector: "mock",
    });
    expect(process.logged("serving")).toMatchObject({ bind: "127.0.0.1", node: "node-a" });
    expect(process.logged("stopping")).toEqual({ event: "stopping", cause: "SIGTERM" });
    expect(log.at(-1)).toEqual({ event: "stopped" });
    await expect(ready()).rejects.toThrow();
    await expect(value({})).resolves.toContain("ECONNREFUSED");
  });

  test("takes costly readings while somebody asks for them", async () => {
    const { ready, value } = await started(await optionsWith([40]));
    await eventually(ready, "ok");
    const metadata = { metricType: "pcie_tx_kbps", targetValue: "5" };
    await eventually(() => value(metadata), 8);
  });

  test("says the collector's own words while its devices cannot be read", async () => {
    const mockFile = "/nowhere/mock.yaml";
    const collector = { collector: "mock", mockFile } as const;
    const { ready, value, series, health, code } = await started(
      await optionsWith([], { collector }),
    );
    await eventually(ready, expect.stringMatching(/^not ready: .*\/nowhere\/mock\.yaml/));
    expect(await value({})).toContain("/nowhere/mock.yaml");
    expect(await code({})).not.toBe("OK");
    expect(await series("data_fresh")).toBe(0);
    expect(await series("gpu_device_count")).toBe(0);
    expect(await health()).toBe("NOT_SERVING");
  });

  test("uses the profiles of its file", async () => {
    const profilesFile = join(await temporaryDirectory(), "profiles.yaml");
    await writeFile(profilesFile, "profiles: { mine: { metric: gpu_utilization, target: 4 } }");
    const { ready, value } = await started(await optionsWith([40], { profilesFile }));
    await eventually(ready, "ok");
    expect(await value({ profile: "mine" })).toBe(40);
    expect(await value({ profile: "other" })).toContain("mine");
  });

  test("ends with 1 when the devices are out of reach for good", async () => {
    const mockFile = join(await temporaryDirectory(), "mock.yaml");
    await writeFile(mockFile, "devices: [{ faults: { hang: true } }]");
    const collector = { collector: "mock", mockFile } as const;
    const { exitCode, logged, ready } = await started(
      await optionsWith([], { collector, deviceWatchdogMs: 1_000 }),
    );
    expect(await ready()).toBe(
      "not ready: Cannot answer for the devices of node-a: sampling is starting; " +
        "wait for the next sample, or look into this process's log",
    );
    expect(await exitCode).toBe(1);
    expect(logged("stopping")).toEqual({ event: "stopping", cause: "dead" });
  });
});

describe("roles agent and scaler", () => {
  test("a scaler answers from every agent that it is told of", async () => {
    const agent = await started(await optionsWith([40, 90], { role: "agent" }));
    await eventually(agent.ready, "ok");
    expect(await agent.health()).toBe("SERVING");
    expect(await agent.series("gpu_device_count")).toBe(2);
    expect(await agent.code({})).toBe("Unimplemented");

    const scaler = await started(
      await optionsWith([], { role: "scaler", agents: `127.0.0.1:${agent.grpcPort}` }),
    );
    await eventually(scaler.ready, "ok");
    expect(await scaler.value({ scope: "cluster" })).toBe(90);
    expect(await scaler.value({ scope: "node", node: "node-a", aggregation: "min" })).toBe(40);
    expect(await scaler.series("fleet_nodes")).toBe(1);
    expect(await scaler.series("fleet_devices")).toBe(2);
    expect(await scaler.series("gpu_device_count")).toBeUndefined();
    expect(await scaler.series("fleet_oldest_sample_age_seconds")).toBeWithin(0, 5);
  });

  test("a scaler waits until it has heard its agents", async () => {
    const { ready, health, value } = await started(
      await optionsWith([], { role: "scaler", agents: "127.0.0.1:1" }),
    );
    expect(await ready()).toBe("not ready: the agents have not been heard yet");
    expect(await health()).toBe("NOT_SERVING");
    expect(await value({ scope: "cluster" })).toContain("agent");
  });

  test("in a cluster a workload has the value of its own pods' devices", async () => {
    const fake = await startFake({ tls: true, token: "first" });
    const folder = await temporaryDirectory();
    const kubeconfig = join(folder, "kubeconfig");
    await fake.writeKubeconfig(kubeconfig);
    const kubelet = await fakeKubelet(join(folder, "kubelet.sock"));
    whenOver(kubelet.vanish);
    kubelet.set([podWith("llm-1", "nvidia.com/gpu", ["GPU-1"], { namespace: "ml" })]);
    const agent = await started(
      await optionsWith([40, 90], { role: "agent", podResourcesSocket: kubelet.socketPath }),
    );
    const metadata = { scalerAddress: "gpu.keda.svc.cluster.local:6000" };
    fake.apply(
      endpointSlice({
        namespace: "keda",
        service: "agents",
        name: "one",
        ports: [{ name: "grpc", port: agent.grpcPort }],
        endpoints: [{ address: "127.0.0.1", node: "node-a" }],
      }),
      scalableObject({ namespace: "ml", name: "llm", matchLabels: { app: "llm" } }),
      scaledObject({ namespace: "ml", name: "llm", triggers: [{ metadata }] }),
      podObject({ namespace: "ml", name: "llm-1", labels: { app: "llm" }, node: "node-a" }),
    );
    const cluster = { kubeconfig, namespace: "keda" };
    const scaler = await started(await optionsWith([], { role: "scaler", ...cluster }));
    await eventually(scaler.ready, "ok");
    await eventually(() => scaler.value(metadata, "llm", "ml"), 90);
    expect(await scaler.value(metadata, "other", "ml")).toContain("other");

    const both = await started(
      await optionsWith([40, 90], { ...cluster, podResourcesSocket: kubelet.socketPath }),
    );
    await eventually(both.ready, "ok");
    await eventually(() => both.value(metadata, "llm", "ml"), 90);
    await expect(both.series("fleet_nodes")).resolves.toBeUndefined();
  });
});

describe("the ports", () => {
  const reason = "another process listens there; stop it, or choose another port";

  test.each([
    ["grpcPort", "--port"],
    ["httpPort", "--http-port"],
  ] as const)("%s in use is a fault that names its flag", async (which, flag) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    whenOver(() => void taken.close());
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const options = await optionsWith([], {
      role: "scaler",
      agents: "127.0.0.1:1",
      [which]: port,
    });
    await expect(started(options)).rejects.toMatchObject({
      code: "address-unusable",
      message: `Cannot listen on 127.0.0.1 port ${port} (${flag}): ${reason}`,
      facts: { address: "127.0.0.1", port, code: "EADDRINUSE" },
    });
  });

  test("the gRPC port is free again when the HTTP port cannot be had", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port: httpPort } = taken.address() as AddressInfo;
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port: grpcPort } = other.address() as AddressInfo;
    await new Promise<void>((resolve) => other.close(() => resolve()));
    whenOver(() => void taken.close());
    const agents = "127.0.0.1:1";
    const options = await optionsWith([], { role: "scaler", agents, grpcPort, httpPort });
    await expect(started(options)).rejects.toThrow("(--http-port)");
    const again = createServer();
    whenOver(() => void again.close());
    await new Promise<void>((resolve, reject) => {
      again.once("error", reject);
      again.listen(grpcPort, "127.0.0.1", resolve);
    });
  });

  test("an address of another machine is a fault that says so", async () => {
    const options = await optionsWith([], {
      role: "scaler",
      agents: "127.0.0.1:1",
      bind: "192.0.2.1",
    });
    await expect(started(options)).rejects.toThrow(
      "Cannot listen on 192.0.2.1 port 0 (--port): the address is not this machine's; choose another with --bind",
    );
  });

  test("a client is asked to reconnect at the age that is set", async () => {
    const { ready, value, grpcPort, series } = await started(
      await optionsWith([40], { connectionAgeMs: 1_000 }),
    );
    expect(grpcPort).toBeGreaterThan(0);
    await eventually(ready, "ok");
    expect(await value({})).toBe(40);
    expect(await series("connections")).toBe(1);
    await eventually(() => series("connections"), 0);
  });
});
