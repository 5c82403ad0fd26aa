/**
 * Which addresses may be asked for metrics, decided before any packet leaves.
 *
 * A trigger's author may not own the whole cluster, but this process can reach all of it. So a
 * trigger reaches its own pods, the Services of its own namespace, and what the operator allowed;
 * never a cloud's metadata service, which hands out credentials. A name is resolved once, its
 * address is checked, and that address is connected to.
 *
 * @module
 */
import { isIP } from "node:net";
import { Fault } from "#core/fault.ts";
import { hostPort } from "#core/host-port.ts";
import { isLabel } from "#core/kubernetes-names.ts";
import { addressKind } from "./address-kind.ts";

/** Where to connect, and under which name. */
export interface ScrapeEndpoint {
  /** As people read it. */
  readonly url: string;
  /** An IP address: nothing is resolved after this. */
  readonly address: string;
  readonly port: number;
  /** For the `Host` header. */
  readonly host: string;
  /** Whether it is asked over TLS. */
  readonly isTls: boolean;
}

export interface EndpointRules {
  /**
   * Of `--allow-endpoint`: `host`, `host:port`, `*.domain` or an IP address. A star stands for any
   * number of labels. Addresses of this machine need a pattern without a star.
   */
  readonly allow: readonly string[];
  /** The cluster's own domain, usually `cluster.local`. */
  readonly clusterDomain: string;
  /** All addresses of a name. */
  readonly resolve: (name: string) => Promise<readonly string[]>;
}

/** An explicit URL that passed every rule that needs no look-up. */
interface AllowedUrl {
  readonly url: URL;
  /** What to resolve; ends with a dot for a Service, so that no search list is tried. */
  readonly name: string;
  /** The operator named this very host, so it may be this machine. */
  readonly mayBeLocal: boolean;
  /** The Service of the trigger's namespace that it is; absent where the operator allowed the host. */
  readonly service?: string | undefined;
}

/**
 * A pod's own address, as the Kubernetes API tells it.
 *
 * @throws {Fault} `endpoint-refused` for what is no pod's, such as this machine's own address where
 *   the operator did not name it.
 */
export function podEndpoint(
  { address, port, isTls }: Pick<ScrapeEndpoint, "address" | "port" | "isTls">,
  rules: Pick<EndpointRules, "allow">,
): ScrapeEndpoint {
  const host = hostPort({ address, port });
  const url = `${isTls ? "https" : "http"}://${host}`;
  if (isIP(address) === 0) throw refused(url, "a pod's address is an IP address");
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw refused(url, "a port is from 1 to 65535");
  checkAddress(url, address, isNamed(address, port, rules));
  return { url, address, port, host, isTls };
}

/** Whether the operator named an address, and not only a domain. */
export function isNamed(
  address: string,
  port: number,
  { allow }: Pick<EndpointRules, "allow">,
): boolean {
  return allow.some((one) => !one.includes("*") && matchesPattern(one, address, port));
}

/**
 * @param namespace Of the ScaledObject whose trigger names the URL.
 * @throws {Fault} `endpoint-refused`.
 */
export function allowedUrl(
  text: string,
  namespace: string,
  { allow, clusterDomain }: Pick<EndpointRules, "allow" | "clusterDomain">,
): AllowedUrl {
  const url = URL.parse(text);
  if (url === null) throw refused(text, "it is a URL such as http://my-service:8000/metrics");
  if (url.protocol !== "http:" && !isTlsUrl(url))
    throw refused(text, "its scheme is http or https");
  if (url.username !== "" || url.password !== "")
    throw refused(
      text,
      "it has no user or password; name a file with engineBasicAuthFile or engineTokenFile",
    );
  // The parser turns 0xa9fea9fe, 2852039166 and 0251.0376.0251.0376 into 169.254.169.254.
  const host = hostOf(url);
  if (isIP(host) !== 0 && addressKind(host) === "metadata")
    throw refused(text, "a cloud's metadata address is never asked");
  const pattern = allow.find((one) => matchesPattern(one, host, portOf(url)));
  if (pattern !== undefined) return { url, name: host, mayBeLocal: !pattern.includes("*") };
  const service = serviceOf(host, namespace, clusterDomain);
  if (service === undefined)
    throw refused(
      text,
      `its host is a Service of namespace ${namespace}, as in name or name.${namespace}.svc, or one that --allow-endpoint names`,
    );
  const name = `${service}.${namespace}.svc.${clusterDomain}.`;
  return { url, name, mayBeLocal: false, service };
}

/**
 * Resolves once; every address that the name has must be allowed, and the first is used.
 *
 * @throws {Fault} `endpoint-refused` for an address, `engine-unreachable` when there is none.
 */
export async function resolvedEndpoint(
  { url, name, mayBeLocal }: AllowedUrl,
  resolve: EndpointRules["resolve"],
): Promise<ScrapeEndpoint> {
  const addresses =
    isIP(name) === 0
      ? await resolve(name).catch((error: unknown) => {
          throw unresolved(url, name, error);
        })
      : [name];
  const [address] = addresses;
  if (address === undefined) throw unresolved(url, name);
  for (const one of addresses) checkAddress(url.href, one, mayBeLocal);
  return { url: url.origin, address, port: portOf(url), host: url.host, isTls: isTlsUrl(url) };
}

function unresolved({ href }: URL, name: string, cause?: unknown): Fault {
  return new Fault(
    "engine-unreachable",
    `Cannot reach ${href}: ${name} has no address; check the name and that its Service exists`,
    { target: href },
    cause,
  );
}

export function portOf(url: URL): number {
  return url.port === "" ? (isTlsUrl(url) ? 443 : 80) : Number(url.port);
}

export function isTlsUrl({ protocol }: URL): boolean {
  return protocol === "https:";
}

/** The host without brackets and without the dot that ends a whole name. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
}

function checkAddress(url: string, address: string, mayBeLocal: boolean): void {
  const kind = addressKind(address);
  if (kind === "metadata") throw refused(url, `${address} is a cloud's metadata address`);
  if (kind === "group") throw refused(url, `${address} is no single machine's address`);
  if (kind === "local" && !mayBeLocal)
    throw refused(
      url,
      `${address} is this machine's own address, which --allow-endpoint must name`,
    );
}

/** The name of a Service in this namespace; `undefined` for every other host. */
function serviceOf(host: string, namespace: string, clusterDomain: string): string | undefined {
  const [name = "", inNamespace = namespace, ...rest] = host.split(".");
  const isService = ["", "svc", `svc.${clusterDomain}`].includes(rest.join("."));
  // A call made by hand names any namespace, and it becomes part of a name and of a path.
  const areNames = isLabel(name) && isLabel(namespace);
  if (isIP(host) !== 0 || !isService || !areNames) return undefined;
  return inNamespace === namespace ? name : undefined;
}

function matchesPattern(pattern: string, host: string, port: number): boolean {
  const [, patternHost = pattern, patternPort] =
    /^(\[[^\]]*\]|[^:]*)(?::(\d+|\*))?$/.exec(pattern.toLowerCase()) ?? [];
  if (patternPort !== undefined && patternPort !== "*" && Number(patternPort) !== port)
    return false;
  const bare = patternHost.replace(/^\[|\]$/g, "");
  return bare.startsWith("*.") ? host.endsWith(bare.slice(1)) && isIP(host) === 0 : bare === host;
}

function refused(endpoint: string, rule: string): Fault {
  return new Fault("endpoint-refused", `Cannot ask ${endpoint} for metrics: ${rule}`, {
    endpoint,
    rule,
  });
}
