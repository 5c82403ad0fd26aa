import { afterEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findKubernetes, type Kubernetes } from "#app/cluster.ts";
import { type EnginesOptions, startEngines } from "#app/engines.ts";
import { Fault } from "#core/fault.ts";
import { listeners } from "#core/listeners.ts";
import { builtInProfiles } from "#trigger/profiles.ts";
import { triggerParser } from "#trigger/trigger.ts";
import { fakeEngine } from "../cluster/fake-engine.ts";
import {
  shiftedClock,
  startFake,
  stopAll,
  temporaryDirectory,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { endpointSlice } from "../fake-kubernetes/objects.ts";
import { until } from "../support/until.ts";

afterEach(stopAll);

const parse = triggerParser(() => builtInProfiles);

function started(options: Partial<EnginesOptions> = {}, kubernetes?: Kubernetes) {
  const changes = listeners();
  const clock = shiftedClock();
  const engines = startEngines(
    { role: "all", allowedEndpoints: [], allowHostNetwork: false, ...options },
    {
      clock,
      log: () => {},
      random: () => 0,
      changes,
      kubernetes,
      workloads: undefined,
      parse,
    },
  );
  whenOver(engines.stop);
  return { ...engines, changes, clock };
}

async function startedKubernetes() {
  const fake = await startFake({ tls: true, token: "first" });
  const kubeconfig = join(await temporaryDirectory(), "kubeconfig");
  await fake.writeKubeconfig(kubeconfig);
  const kubernetes = await findKubernetes({ kubeconfig, namespace: "keda" }, shiftedClock());
  if (kubernetes === undefined) throw new Error("Cannot go on: no API was found");
  return { fake, kubernetes };
}

function faultOf(run: () => unknown): Fault | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

describe("the engine of a laptop is on the same machine", () => {
  const addresses = ["http://127.0.0.1:1", "http://[::1]:8000"];
  const local = ["http://localhost:8000/metrics", ...addresses];

  test.each(local)("%s is read where one process does all without Kubernetes", (url) => {
    const { reader } = started();
    expect(reader.endpointsOf(url, "ml")).toEqual([
      { at: { url, namespace: "ml" }, isOwn: true, ready: true },
    ]);
  });

  test.each(addresses)("%s is refused to a scaler", (url) => {
    const { reader } = started({ role: "scaler" });
    expect(faultOf(() => reader.endpointsOf(url, "ml"))?.code).toBe("endpoint-refused");
  });

  test.each(addresses)("%s is refused where there is a cluster", async (url) => {
    const { kubernetes } = await startedKubernetes();
    const { reader } = started({}, kubernetes);
    expect(faultOf(() => reader.endpointsOf(url, "ml"))?.code).toBe("endpoint-refused");
  });

  test("what the operator allows is read by every role", () => {
    const { reader } = started({ role: "scaler", allowedEndpoints: ["gateway"] });
    const url = "http://gateway/metrics";
    expect(reader.endpointsOf(url, "ml")).toEqual([
      { at: { url, namespace: "ml" }, isOwn: true, ready: true },
    ]);
    expect(started({ allowedEndpoints: ["gateway"] }).reader.endpointsOf(url, "ml")).toHaveLength(
      1,
    );
  });
});

describe("a Service of the trigger's namespace", () => {
  test("is a URL where there is no Kubernetes API", () => {
    const url = "http://router.ml.svc/metrics";
    expect(started().reader.endpointsOf(url, "ml")).toEqual([
      { at: { url, namespace: "ml" }, isOwn: true, ready: true },
    ]);
  });

  test("is every pod behind it, by the URL's port and path", async () => {
    const { fake, kubernetes } = await startedKubernetes();
    fake.apply(
      endpointSlice({
        namespace: "ml",
        service: "router",
        name: "one",
        ports: [{ name: "http", port: 8001 }],
        endpoints: [{ address: "10.0.0.1" }, { address: "10.0.0.2", ready: false }],
      }),
    );
    const { reader } = started({}, kubernetes);
    let changes = 0;
    whenOver(
      reader.onEndpointsChange(() => {
        changes += 1;
      }),
    );
    const ask = (path: string) => reader.endpointsOf(`http://router.ml.svc:8000${path}`, "ml");
    await until(() => faultOf(() => ask("")) === undefined);
    expect(changes).toBeGreaterThan(0);
    const owner = "Service ml/router";
    const pod = (podAddress: string) => ({
      at: { podAddress, namespace: "ml", ports: [], owner },
      isOwn: true,
      port: 8001,
    });
    expect(ask("")).toEqual([
      { ...pod("10.0.0.1"), ready: true },
      { ...pod("10.0.0.2"), ready: false },
    ]);
    const paths = (path: string) => ask(path).map((endpoint) => endpoint.path);
    expect(paths("/")).toEqual([undefined, undefined]);
    expect(paths("/stats")).toEqual(["/stats", "/stats"]);
    expect(paths("/?a=1")).toEqual(["?a=1", "?a=1"]);
  });

  test("of another namespace is refused", () => {
    const { reader } = started();
    expect(faultOf(() => reader.endpointsOf("http://router.dev.svc", "ml"))?.code).toBe(
      "endpoint-refused",
    );
  });
});

describe("an https URL", () => {
  test.each([
    ["https://router.ml.svc/metrics", "router.ml.svc"],
    ["HTTPS://Router.ML:8443", "router.ml"],
    ["https://127.0.0.1:1", "127.0.0.1"],
    ["https://[::1]:8000", "::1"],
  ])("%s has to show a certificate for %s", (url, serverName) => {
    expect(started().reader.endpointsOf(url, "ml")).toMatchObject([{ serverName }]);
  });

  test("of a Service is for each pod behind it, at port 443 unless it says another", async () => {
    const { fake, kubernetes } = await startedKubernetes();
    fake.apply(
      endpointSlice({
        namespace: "ml",
        service: "router",
        name: "one",
        ports: [{ name: "https", port: 8443 }],
        endpoints: [{ address: "10.0.0.1" }],
      }),
    );
    const { reader } = started({}, kubernetes);
    const ask = () => reader.endpointsOf("https://router.ml.svc/stats", "ml");
    await until(() => faultOf(ask) === undefined);
    expect(ask()).toMatchObject([{ serverName: "router.ml.svc", port: 8443, path: "/stats" }]);
  });
});

describe("an authority and a password", () => {
  const directories = { engineTokenDirectory: "/tokens", engineCaDirectory: "/authorities" };
  test("lie in their namespace's folders", () => {
    const { mountedFile } = started(directories).reader;
    expect(mountedFile("engineCaFile", "ml", "ca.crt")).toBe("/authorities/ml/ca.crt");
    expect(mountedFile("engineBasicAuthFile", "ml", "basic")).toBe("/tokens/ml/basic");
  });

  test("of a namespace that is none, or without their directory, are refused", () => {
    const { mountedFile } = started({ engineTokenDirectory: "/tokens" }).reader;
    expect(() => mountedFile("engineCaFile", "ml", "ca")).toThrow(
      "Cannot read the authorities ca: --engine-ca-dir is not given; correct it, or leave engineCaFile out",
    );
    const { mountedFile: below } = started(directories).reader;
    expect(() => below("engineCaFile", "../ml", "ca")).toThrow('"../ml" is no namespace');
    expect(() => below("engineBasicAuthFile", "../ml", "basic")).toThrow(
      'Cannot read the user and password basic: "../ml" is no namespace; correct it, or leave engineBasicAuthFile out',
    );
  });
});

describe("a bearer token", () => {
  test("lies in its namespace's folder", () => {
    const { reader } = started({ engineTokenDirectory: "/tokens" });
    expect(reader.mountedFile("engineTokenFile", "ml", "vllm")).toBe("/tokens/ml/vllm");
  });

  test.each([
    [undefined, "ml", "--engine-token-dir is not given"],
    ["/tokens", "../ml", '"../ml" is no namespace'],
    ["/tokens", "", '"" is no namespace'],
  ])("below %j for namespace %j is refused", (engineTokenDirectory, namespace, problem) => {
    const { reader } = started({ engineTokenDirectory });
    const fault = faultOf(() => reader.mountedFile("engineTokenFile", namespace, "vllm"));
    expect(fault).toMatchObject({
      code: "file-invalid",
      message: `Cannot read the bearer token vllm: ${problem}; correct it, or leave engineTokenFile out`,
      facts: { path: "vllm", problems: [problem] },
    });
  });

  test("is read from its file at each scrape", async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "token"), "secret\n");
    const came: (string | null)[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ headers }) => {
        came.push(headers.get("authorization"));
        return new Response("", { headers: { "content-type": "text/plain" } });
      },
    });
    whenOver(() => server.stop(true));
    const { reader } = started();
    const url = `http://127.0.0.1:${server.port}/metrics`;
    reader.read(
      { at: { url, namespace: "ml" }, engine: "vllm", tokenFile: join(directory, "token") },
      { signal: "queue_depth", windowMs: 0, match: [] },
    );
    await until(() => came.length > 0);
    expect(came[0]).toBe("Bearer secret");
  });
});

test("the engines of a requested trigger are read, and counted", async () => {
  using engine = await fakeEngine("vllm-v1.prom", "127.0.0.1");
  const { requested, stats, changes, clock, waitingFor } = started();
  let changed = 0;
  changes.subscribe(() => {
    changed += 1;
  });
  expect(stats.targets()).toEqual([]);
  expect(waitingFor()).toBeUndefined();
  const endpoint = `http://127.0.0.1:${engine.port}/metrics`;
  const scalerMetadata = { metricType: "queue_depth", targetValue: "5", endpoint };
  requested({ namespace: "ml", name: "llm", scalerMetadata }, parse(scalerMetadata));
  clock.advance(1_000);
  expect(stats.targets()).toEqual([{ engine: "unknown", isFailing: false, ageMs: undefined }]);
  await until(() => (stats.scrapes().get("ok") ?? 0) > 0);
  expect(changed).toBeGreaterThan(0);
  clock.advance(400);
  const [target] = stats.targets();
  expect(target).toMatchObject({ engine: "vllm", isFailing: false });
  expect(target?.ageMs).toBeWithin(400, 3_000);
  engine.die();
  clock.advance(5_000);
  await until(() => (stats.scrapes().get("engine-unreachable") ?? 0) > 0);
  expect(stats.targets()).toMatchObject([{ engine: "vllm", isFailing: true }]);
});
