/**
 * What NetworkPolicies let through, as the API reference defines it: a pod that any policy selects
 * for a direction is reached, or reaches, only what some policy allows.
 *
 * Source: https://kubernetes.io/docs/concepts/services-networking/network-policies
 *
 * @module
 */
import { BlockList, isIPv6 } from "node:net";
import { ofKind, type PolicyPeer, type parseObjects } from "./kinds.ts";

type Objects = ReturnType<typeof parseObjects>;
type Labels = Readonly<Record<string, string>>;
type Selector = NonNullable<PolicyPeer["podSelector"]>;

export interface Pod {
  readonly namespace: string;
  readonly labels: Labels;
}
/** A pod, or an address that is no pod's. */
export type Party = Pod | { readonly address: string };

/** @returns Whether a packet of a new connection passes both ends' policies. */
export function allows(
  objects: Objects,
  from: Party,
  to: Party,
  port: number,
  protocol: "TCP" | "UDP" = "TCP",
): boolean {
  const policies = ofKind(objects, "NetworkPolicy");
  const selecting = (party: Party, direction: "Ingress" | "Egress") =>
    policies.filter(
      ({ metadata, spec }) =>
        "labels" in party &&
        metadata.namespace === party.namespace &&
        selects(spec.podSelector, party.labels) &&
        spec.policyTypes.includes(direction),
    );
  const onPort = ({
    ports,
  }: {
    readonly ports: readonly { protocol: string; port?: number | undefined }[];
  }) => ports.some((each) => each.protocol === protocol && (each.port ?? port) === port);
  const out = selecting(from, "Egress");
  const into = selecting(to, "Ingress");
  const leaves = out.some(({ metadata, spec }) =>
    spec.egress?.some(
      (rule) =>
        onPort(rule) &&
        (rule.to?.some((peer) => isPeer(peer, to, metadata.namespace ?? "")) ?? true),
    ),
  );
  const enters = into.some(({ metadata, spec }) =>
    spec.ingress.some(
      (rule) =>
        onPort(rule) && rule.from.some((peer) => isPeer(peer, from, metadata.namespace ?? "")),
    ),
  );
  return (out.length === 0 || leaves) && (into.length === 0 || enters);
}

function isPeer(peer: PolicyPeer, party: Party, ownNamespace: string): boolean {
  if ("address" in party)
    return peer.ipBlock !== undefined && isInside(peer.ipBlock, party.address);
  if (peer.ipBlock !== undefined) return false;
  const inNamespace =
    peer.namespaceSelector === undefined
      ? party.namespace === ownNamespace
      : selects(peer.namespaceSelector, { "kubernetes.io/metadata.name": party.namespace });
  return inNamespace && selects(peer.podSelector ?? {}, party.labels);
}

function isInside(
  { cidr, except = [] }: NonNullable<PolicyPeer["ipBlock"]>,
  address: string,
): boolean {
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  const holds = (block: string) => {
    const [network = "", bits] = block.split("/");
    const list = new BlockList();
    list.addSubnet(network, Number(bits), isIPv6(network) ? "ipv6" : "ipv4");
    return list.check(address, family);
  };
  return holds(cidr) && !except.some(holds);
}

export function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels) {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      const isOne = value !== undefined && values.includes(value);
      return operator === "In" ? isOne : !isOne;
    })
  );
}
