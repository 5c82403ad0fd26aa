/**
 * Where an exporter may be asked: on this node, and nowhere else.
 *
 * An agent's readings are believed for its own node, and it is no proxy into the cluster's network.
 *
 * @module
 */
import { BlockList, isIP } from "node:net";
import { Fault } from "#core/fault.ts";
import { hostPort } from "#core/host-port.ts";
import type { ScrapeEndpoint } from "#engine/scrape/address-policy.ts";
import type { ExporterTable } from "./schema.ts";

/** Where to ask, and what. */
export interface ExporterPage {
  readonly endpoint: ScrapeEndpoint;
  readonly path: string;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * @param nodeAddresses The node's own, as Kubernetes tells them.
 * @throws {Fault} `endpoint-refused` for any other host.
 */
export function exporterPage(text: string, nodeAddresses: readonly string[]): ExporterPage {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "http:")
    throw refused(text, "it is a URL such as http://127.0.0.1:9400/metrics");
  if (url.username !== "" || url.password !== "") throw refused(text, "it has no user or password");
  const named = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const address = named === "localhost" ? "127.0.0.1" : named;
  if (!isOwn(address, nodeAddresses))
    throw refused(
      text,
      "its host is localhost, 127.0.0.0/8, ::1 or the node's own address" +
        (nodeAddresses.length === 0
          ? ", which NODE_IP does not say"
          : `, ${nodeAddresses.join()}`) +
        "; have the exporter listen on the node, with hostNetwork or a hostPort",
    );
  return {
    endpoint: {
      url: url.origin,
      address,
      port: url.port === "" ? 80 : Number(url.port),
      host: url.host,
      isTls: false,
    },
    path: `${url.pathname}${url.search}`,
  };
}

/** The node's own address where it is known, for a pod's loopback is not the node's. */
export function defaultExporterUrl(
  { port, path }: Pick<ExporterTable, "port" | "path">,
  nodeAddresses: readonly string[],
): string {
  const [address = "127.0.0.1"] = nodeAddresses;
  return `http://${hostPort({ address, port })}${path}`;
}

function isOwn(address: string, nodeAddresses: readonly string[]): boolean {
  const version = isIP(address);
  if (version === 0) return false;
  if (loopback.check(address, version === 6 ? "ipv6" : "ipv4")) return true;
  return nodeAddresses.some((one) => one !== "" && normalized(one) === normalized(address));
}

/** In the one way in which URLs write it. */
function normalized(address: string): string {
  return isIP(address) === 6 ? (URL.parse(`http://[${address}]`)?.hostname ?? address) : address;
}

function refused(endpoint: string, rule: string): Fault {
  return new Fault("endpoint-refused", `Cannot ask ${endpoint} for metrics: ${rule}`, {
    endpoint,
    rule,
  });
}
