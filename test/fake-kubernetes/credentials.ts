import { mkdir } from "node:fs/promises";
import { join } from "node:path";

interface Credentials {
  readonly url: string;
  readonly caPem?: string;
  readonly token?: string;
}

/** Writes the kubeconfig that reaches the server, as `kubectl config view --raw` would print it. */
export async function writeKubeconfig(path: string, { url, caPem, token }: Credentials) {
  // The client library sends nothing over plain HTTP unless it is told that this is meant.
  const authority =
    caPem === undefined
      ? { "insecure-skip-tls-verify": true }
      : { "certificate-authority-data": btoa(caPem) };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "fake",
    clusters: [{ name: "fake", cluster: { server: url, ...authority } }],
    users: [{ name: "test", user: token === undefined ? {} : { token } }],
    contexts: [{ name: "fake", context: { cluster: "fake", user: "test" } }],
  };
  await Bun.write(path, Bun.YAML.stringify(config));
}

/** Writes what the kubelet mounts at `/var/run/secrets/kubernetes.io/serviceaccount`. */
export async function writeServiceAccount(directory: string, { caPem, token }: Credentials) {
  await mkdir(directory, { recursive: true });
  await Bun.write(join(directory, "ca.crt"), caPem ?? "");
  await Bun.write(join(directory, "token"), token ?? "");
  await Bun.write(join(directory, "namespace"), "keda");
}
