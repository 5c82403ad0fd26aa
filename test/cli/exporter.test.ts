/** `snapshot` of an exporter's devices: the sampling thread asks a real server on this machine. */
import { describe, expect, test } from "bun:test";
import { exporterServer, pageNamed } from "../device/exporter/exporter-server.ts";
import { runCommand } from "../support/cli.ts";

const environment = {
  hostname: "laptop",
  nodeName: undefined,
  kubernetesHost: undefined,
  kubernetesPort: undefined,
};
const snapshot = (flags: readonly string[], nodeIp?: string) =>
  runCommand(["snapshot", "--collector", "exporter", ...flags], {
    environment: { ...environment, nodeIp },
  });

test("snapshot prints the devices of an exporter's page", async () => {
  using server = exporterServer(pageNamed("gaudi"));
  const flags = ["--exporter", "gaudi", "--exporter-url", server.url, "--format", "json"];
  const { exitCode, stdout, stderr } = await snapshot(flags);
  expect([exitCode, stderr]).toEqual([0, ""]);
  const { devices } = JSON.parse(stdout);
  expect(devices).toHaveLength(2);
  expect(devices[0]).toMatchObject({
    vendor: "intel",
    model: "Intel Gaudi",
    readings: { utilizationPercent: 87, powerInstantMilliwatts: 612_000 },
  });
});

test("snapshot says which exporter does not answer", async () => {
  const { exitCode, stderr } = await snapshot([
    ...["--exporter", "dcgm", "--exporter-url", "http://127.0.0.1:1/metrics"],
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toStartWith(
    "keda-gpu-scaler: Cannot read the exporter at http://127.0.0.1:1/metrics: ",
  );
});

describe("an exporter elsewhere is refused before anything is asked", () => {
  const elsewhere = ["--exporter", "gaudi", "--exporter-url", "http://192.0.2.9:41611/metrics"];
  test("whatever the node's address is", async () => {
    const { exitCode, stderr } = await snapshot(elsewhere, "192.0.2.8,2001:db8::8");
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      "Cannot ask http://192.0.2.9:41611/metrics for metrics: its host is localhost, 127.0.0.0/8, ::1 or the node's own address, 192.0.2.8,2001:db8::8",
    );
  });
});
