/**
 * What an IP address is, however it is written. Pure.
 *
 * @module
 */
import { BlockList, isIP } from "node:net";

/**
 * - `metadata`: a cloud's own service, which hands out credentials
 * - `local`: the machine itself or its link: loopback, link-local, unspecified
 * - `group`: multicast, broadcast and what is reserved
 */
type AddressKind = "metadata" | "local" | "group" | "other";

const ranges: readonly (readonly [Exclude<AddressKind, "other">, BlockList])[] = [
  [
    "metadata",
    // Instance and credential services. Most clouds use the first; behind it AWS' for tasks and pods,
    // and those of GKE, Tencent, Scaleway, Azure, Alibaba and Oracle.
    blockList(
      "169.254.169.254/32",
      "169.254.170.2/32",
      "169.254.170.23/32",
      "169.254.169.252/32",
      "169.254.0.23/32",
      "169.254.42.42/32",
      "168.63.129.16/32",
      "100.100.100.200/32",
      "192.0.0.192/32",
      // AWS twice, Google, Oracle, Scaleway, Akamai, OpenStack. Pods may have other addresses of
      // fd00::/8, so each is named alone.
      "fd00:ec2::254/128",
      "fd00:ec2::23/128",
      "fd20:ce::254/128",
      "fd00:c1::a9fe:a9fe/128",
      "fd00:42::42/128",
      "fd00:a9fe:a9fe::1/128",
      "fe80::a9fe:a9fe/128",
    ),
  ],
  ["local", blockList("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/112", "fe80::/10")],
  ["group", blockList("224.0.0.0/3", "ff00::/8")],
];

/** IPv6 addresses that stand for an IPv4 address, and which of their 16-bit groups hold it. */
const embeddings = [
  { range: blockList("::ffff:0:0/96"), groups: [6, 7] }, // mapped
  { range: blockList("::/96"), groups: [6, 7] }, // compatible
  { range: blockList("::ffff:0:0:0/96"), groups: [6, 7] }, // translated
  { range: blockList("64:ff9b::/32"), groups: [6, 7] }, // NAT64, also of a network's own prefix
  { range: blockList("2002::/16"), groups: [1, 2] }, // 6to4
] as const;

/** @param address Text of an IPv4 or IPv6 address, without brackets. */
export function addressKind(address: string): AddressKind {
  const [plain = ""] = address.split("%", 1);
  const version = isIP(plain);
  if (version === 0) return "local";
  const v4 = version === 4 ? plain : embeddedV4(plain);
  const isIn = (range: BlockList) =>
    v4 === undefined ? range.check(plain, "ipv6") : range.check(v4, "ipv4");
  return ranges.find(([, range]) => isIn(range))?.[0] ?? "other";
}

function embeddedV4(address: string): string | undefined {
  const embedding = embeddings.find(({ range }) => range.check(address, "ipv6"));
  if (embedding === undefined) return undefined;
  const groups = groupsOf(address);
  return embedding.groups
    .map((at) => groups[at] ?? 0)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join(".");
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): readonly number[] {
  // The URL parser writes every address in one way: hexadecimal groups, and "::" for zeros.
  const { hostname } = new URL(`http://[${address}]`);
  const [before = [], after = []] = hostname
    .slice(1, -1)
    .split("::")
    .map((text) => text.split(":").filter((group) => group !== ""));
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

function blockList(...subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = "", prefix = ""] = subnet.split("/");
    list.addSubnet(network, Number(prefix), isIP(network) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
