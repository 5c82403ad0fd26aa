/** TLS of the compiled binary, with files mounted as the kubelet mounts a Secret. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foreignClient } from "../foreign/client.ts";
import { runBinary, serveBinary } from "../support/binary.ts";
import { testAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const scaler = "externalscaler.ExternalScaler";
const root = mkdtempSync(join(tmpdir(), "tls-"));
const client = foreignClient();
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

const authority = testAuthority();
const keda = authority.issue({ commonName: "keda-operator" });
const asKeda = { ca: authority.caPem, cert: keda.certPem, key: keda.keyPem };

let versions = 0;
/** Each version is a folder of its own, and one symbolic link is turned from the old to the new. */
function mount(folder: string, commonName: string, dnsNames = [commonName]): void {
  const { certPem, keyPem } = authority.issue({ commonName, dnsNames });
  const at = join(root, folder);
  const version = `..version-${++versions}`;
  mkdirSync(join(at, version), { recursive: true });
  const texts = { "tls.crt": certPem, "tls.key": keyPem, "ca.crt": authority.caPem };
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(at, version, name), text);
  symlinkSync(version, join(at, "..data_tmp"));
  renameSync(join(at, "..data_tmp"), join(at, "..data"));
}
const flags = (folder: string) => {
  const file = (name: string) => join(root, folder, "..data", name);
  const own = [`--tls-cert=${file("tls.crt")}`, `--tls-key=${file("tls.key")}`];
  return [...own, `--tls-client-ca=${file("ca.crt")}`];
};
const agentArgs = ["--role", "agent", "--collector", "mock", "--node-name", "node-a"];
const ref = {
  name: "so",
  namespace: "ns",
  scalerMetadata: { scope: "cluster", targetValue: "80" },
};

test("a scaler follows an agent, KEDA is answered, and certificates change meanwhile", async () => {
  mount("agent", "keda-gpu-scaler-agent");
  mount("scaler", "keda-gpu-scaler");
  await using agent = await serveBinary({ args: [...agentArgs, ...flags("agent")] });
  const agents = `127.0.0.1:${agent.grpcPort}`;
  const scalerArgs = ["--role", "scaler", "--agents", agents, ...flags("scaler")];
  await using serving = await serveBinary({ args: scalerArgs });
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`, {}, asKeda);
  const value = () =>
    channel.unary(scaler, "GetMetrics", { scaledObjectRef: ref, metricName: "gpu-utilization" });
  await eventually(async () => (await value()).code, "OK");

  const metrics = await fetch(`http://127.0.0.1:${serving.httpPort}/metrics`);
  expect(await metrics.text()).toContain(
    `keda_gpu_scaler_tls_certificate_expiry_timestamp_seconds ${Date.UTC(2099, 11, 31, 23, 59, 59) / 1000}`,
  );
  expect((await fetch(`http://127.0.0.1:${serving.httpPort}/readyz`)).status).toBe(200);

  mount("agent", "keda-gpu-scaler-agent");
  mount("scaler", "keda-gpu-scaler");
  const read = Promise.all([agent, serving].map(({ logged }) => logged("certificates read")));
  let changed = false;
  void read.then(() => {
    changed = true;
  });
  while (!changed) expect((await value()).code).toBe("OK");
  const later = await client.connect(`127.0.0.1:${serving.grpcPort}`, {}, asKeda);
  expect((await later.unary(scaler, "GetMetricSpec", ref)).code).toBe("OK");

  // KEDA's certificate is not that of a scaler, so an agent does not answer it.
  const toAgent = await client.connect(agents, {}, asKeda);
  const health = await toAgent.unary("grpc.health.v1.Health", "Check", {}, { deadlineMs: 2_000 });
  expect(health.code).not.toBe("OK");
  await agent.logged("client refused by its name");
});

test("an agent whose certificate has another name is not followed", async () => {
  mount("impostor", "keda-gpu-scaler");
  mount("follower", "keda-gpu-scaler");
  await using agent = await serveBinary({ args: [...agentArgs, ...flags("impostor")] });
  const agents = `127.0.0.1:${agent.grpcPort}`;
  const args = ["--role", "scaler", "--agents", agents, ...flags("follower")];
  await using serving = await serveBinary({ args });
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`, {}, asKeda);
  const question = { scaledObjectRef: ref, metricName: "gpu-utilization" };
  const answer = async () => (await channel.unary(scaler, "GetMetrics", question)).details;
  await eventually(answer, expect.stringContaining("altnames"));
});

test("files that cannot be used are exit 1", async () => {
  const args = ["--tls-cert", join(root, "none.crt"), "--tls-key", join(root, "none.key")];
  const { exitCode, stderr } = await runBinary(["serve", "--collector", "mock", ...args]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`Cannot use TLS: --tls-cert ${join(root, "none.crt")} cannot be read`);
});
