/** The compiled binary over an exporter's page: its tables are in it, and its answers are of now. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { exporterServer, pageNamed } from "../device/exporter/exporter-server.ts";
import { runBinary } from "../support/binary.ts";

setDefaultTimeout(60_000);

test.each([
  ["gaudi", "Intel Gaudi"],
  ["dcgm", "NVIDIA H100 80GB HBM3"],
])("snapshot --exporter %s", async (name, model) => {
  using server = exporterServer(pageNamed(name));
  const flags = ["--exporter", name, "--exporter-url", server.url, "--format", "json"];
  const { exitCode, stdout, stderr } = await runBinary([
    ...["snapshot", "--collector", "exporter"],
    ...flags,
  ]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(JSON.parse(stdout).devices).toMatchObject([{ model }, { model }]);
});

test("a proxy of the environment is not asked", async () => {
  using proxy = exporterServer(pageNamed("gaudi"));
  const { exitCode, stderr } = await runBinary(
    [
      ...["snapshot", "--collector", "exporter", "--exporter", "gaudi"],
      ...["--exporter-url", "http://127.0.0.1:1/metrics"],
    ],
    { env: { http_proxy: proxy.url, HTTP_PROXY: proxy.url } },
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain("Cannot read the exporter at http://127.0.0.1:1/metrics");
  expect(proxy.requests()).toBe(0);
});
