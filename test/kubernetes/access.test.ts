import { afterEach, describe, expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { inClusterAccess, kubeconfigAccess } from "#kubernetes/access.ts";
import { kubernetesClient } from "#kubernetes/client.ts";
import {
  inClusterClient,
  shiftedClock,
  startFake,
  stopAll,
  temporaryDirectory,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { podObject } from "../fake-kubernetes/objects.ts";

afterEach(stopAll);

const secure = { tls: true, token: "first" };
const labels = { app: "llm" };
const pod = (name: string) => podObject({ name, labels });

describe("access", () => {
  test("by kubeconfig carries its token and trusts its authority", async () => {
    const fake = await startFake(secure);
    const path = join(await temporaryDirectory(), "kubeconfig");
    await fake.writeKubeconfig(path);
    const client = kubernetesClient(await kubeconfigAccess(path), shiftedClock());
    expect(await client.get("/api/v1/pods")).toMatchObject({ kind: "PodList" });
  });

  test("reaches a server that runs by itself, in another process", async () => {
    const directory = await temporaryDirectory();
    const objects = join(directory, "objects.yaml");
    await Bun.write(objects, Bun.YAML.stringify([pod("a")]));
    const main = join(import.meta.dir, "..", "fake-kubernetes", "main.ts");
    const server = Bun.spawn([process.execPath, main, directory, objects], { stdout: "pipe" });
    whenOver(async () => {
      server.kill();
      await server.exited;
    });
    const [line] = await Array.fromAsync(firstOf(server.stdout));
    const { kubeconfig } = JSON.parse(new TextDecoder().decode(line)) as { kubeconfig: string };
    const client = kubernetesClient(await kubeconfigAccess(kubeconfig), shiftedClock());
    expect(await client.get("/api/v1/namespaces/default/pods")).toMatchObject({
      items: [{ metadata: { name: "a" } }],
    });
  });

  test("of a pod is where the kubelet mounts it", async () => {
    const directory = "/var/run/secrets/kubernetes.io/serviceaccount";
    const problems = ["it cannot be read; mount a ServiceAccount token"];
    const access = inClusterAccess({ host: "fd00::1", port: "443" });
    expect(access.server).toBe("https://[fd00::1]:443");
    await expect(access.credentials()).rejects.toMatchObject({
      code: "file-invalid",
      facts: { path: expect.stringContaining(directory), problems },
    });
  });

  test("by kubeconfig finds what its relative paths name", async () => {
    const fake = await startFake(secure);
    const directory = await temporaryDirectory();
    await fake.writeKubeconfig(join(directory, "kubeconfig"));
    const config = Bun.YAML.parse(await Bun.file(join(directory, "kubeconfig")).text()) as {
      clusters: { cluster: Record<string, string> }[];
    };
    for (const { cluster } of config.clusters) {
      const authority = cluster["certificate-authority-data"] ?? "";
      await Bun.write(join(directory, "ca.pem"), Buffer.from(authority, "base64"));
      delete cluster["certificate-authority-data"];
      cluster["certificate-authority"] = "ca.pem";
    }
    await Bun.write(join(directory, "relative"), Bun.YAML.stringify(config));
    const access = await kubeconfigAccess(join(directory, "relative"));
    const client = kubernetesClient(access, shiftedClock());
    expect(await client.get("/api/v1/pods")).toMatchObject({ kind: "PodList" });
  });

  test("names the line where a kubeconfig is no YAML, and quotes none of it", async () => {
    const path = join(await temporaryDirectory(), "kubeconfig");
    await Bun.write(path, "users:\n- name: me\n  user:\n    token: secret\n   broken: [\n");
    const error = await kubeconfigAccess(path).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining(`with ${path}: line 5, column 1: must be one YAML document`),
    });
    expect(String(error)).not.toContain("secret");
  });

  test.each(["kubeconfig", "token"])("refuses a FIFO as %s at once", async (name) => {
    const directory = await temporaryDirectory();
    Bun.spawnSync(["mkfifo", join(directory, name)]);
    await Bun.write(join(directory, "ca.crt"), "");
    const pod = inClusterAccess({ host: "127.0.0.1", port: "443", directory });
    const read = name === "token" ? pod.credentials() : kubeconfigAccess(join(directory, name));
    await expect(read).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining(join(directory, name)),
    });
  });

  test("refuses a server that the authority did not sign", async () => {
    const [fake, other] = [await startFake(secure), await startFake(secure)];
    const clock = shiftedClock();
    const { client, directory } = await inClusterClient(fake, clock);
    await other.writeServiceAccount(directory);
    await expect(client.get("/api/v1/pods")).rejects.toMatchObject({
      code: "kubernetes-failed",
      facts: { path: "/api/v1/pods", status: 0 },
    });
  });

  test("names the file that is missing", async () => {
    const fake = await startFake(secure);
    const { client, directory } = await inClusterClient(fake, shiftedClock());
    await rm(join(directory, "token"));
    await expect(client.get("/api/v1/pods")).rejects.toThrow(
      `Cannot reach the Kubernetes API with ${join(directory, "token")}: it cannot be read; mount`,
    );
    const nowhere = join(directory, "nowhere");
    await expect(kubeconfigAccess(nowhere)).rejects.toMatchObject({ code: "file-invalid" });
    await mkdir(nowhere);
    await Bun.write(join(nowhere, "empty"), "clusters: []\n");
    await expect(kubeconfigAccess(join(nowhere, "empty"))).rejects.toThrow("names no cluster");
    const cluster = { server: fake.url, "proxy-url": "http://proxy.example" };
    const proxied = {
      clusters: [{ name: "fake", cluster }],
      contexts: [{ name: "fake", context: { cluster: "fake", user: "test" } }],
      users: [{ name: "test", user: {} }],
      "current-context": "fake",
    };
    await Bun.write(join(nowhere, "proxied"), Bun.YAML.stringify(proxied));
    await expect(kubeconfigAccess(join(nowhere, "proxied"))).rejects.toThrow("without a proxy");
  });
});

async function* firstOf<Part>(parts: AsyncIterable<Part>): AsyncGenerator<Part> {
  for await (const part of parts) {
    yield part;
    return;
  }
}
