/**
 * How the Kubernetes API is reached: its address, its certificate authority and who we are.
 *
 * In a pod this is three values of the environment and two files, read here: the client library's
 * own way costs 25 MB of memory and 80 ms at start, and its `ca` is ignored under Bun. A kubeconfig
 * (exec plugins, OIDC, client certificates) is the library's business, loaded only when asked for.
 *
 * @module
 */

import type { RequestOptions } from "node:https";
import { join } from "node:path";
import { Fault, messageOf } from "#core/fault.ts";

/** What a request adds to prove where it goes and who sends it. */
export type Credentials = Pick<
  RequestOptions,
  "ca" | "cert" | "key" | "servername" | "rejectUnauthorized" | "auth"
> & { readonly headers: Readonly<Record<string, string>> };

export interface KubernetesAccess {
  /** `https://10.96.0.1:443`, perhaps with a path before `/api`. */
  readonly server: string;
  /** Asked before every request, so that a rotated token is used at once. */
  readonly credentials: () => Promise<Credentials>;
}

/** Where the kubelet mounts a pod's token and the cluster's certificate authority. */
export const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST`; an IPv6 address without brackets. */
  readonly host: string;
  /** `KUBERNETES_SERVICE_PORT`. */
  readonly port: string;
  /** Default `serviceAccountDirectory`. */
  readonly directory?: string;
}

/**
 * Access as a pod has it. Token and authority are read anew for every request: both lie in memory,
 * and the kubelet replaces the token long before it expires.
 */
export function inClusterAccess(options: InClusterOptions): KubernetesAccess {
  const { host, port, directory = serviceAccountDirectory } = options;
  const text = (name: string) => readText(join(directory, name));
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    credentials: async () => {
      const [ca, token] = await Promise.all([text("ca.crt"), text("token")]);
      return { ca, headers: { authorization: `Bearer ${token.trim()}` } };
    },
  };
}

/**
 * Access through a kubeconfig's current context.
 *
 * @throws {Fault} `file-invalid` when it cannot be read or names no cluster.
 */
export async function kubeconfigAccess(path: string): Promise<KubernetesAccess> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (cause) {
    throw invalidFile(path, messageOf(cause), cause);
  }
  const { server, proxyUrl } = config.getCurrentCluster() ?? {};
  if (server === undefined) throw invalidFile(path, "its current context names no cluster");
  if (proxyUrl !== undefined)
    throw invalidFile(path, "proxy-url is not supported; reach the cluster without a proxy");
  return {
    server: server.replace(/\/+$/, ""),
    credentials: async () => {
      const filled: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(filled);
      const { agent: _agent, headers, ...credentials } = filled;
      return { ...credentials, headers: headers as Record<string, string> };
    },
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await Bun.file(path).text();
  } catch (cause) {
    throw invalidFile(path, "it cannot be read; mount a ServiceAccount token", cause);
  }
}

function invalidFile(path: string, problem: string, cause?: unknown): Fault {
  return new Fault(
    "file-invalid",
    `Cannot reach the Kubernetes API with ${path}: ${problem}`,
    { path, problems: [problem] },
    cause,
  );
}
