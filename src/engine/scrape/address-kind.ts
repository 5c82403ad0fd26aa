/**
 * What an IP address is, however it is written. Pure.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";

/**
 * - `metadata`: a cloud's own service, which hands out credentials
 * - `local`: the machine itself or its link: loopback, link-local, unspecified
 * - `group`: multicast and broadcast
 */
export type AddressKind = "metadata" | "local" | "group" | "other";

/** Addresses of the instance and credential services of AWS, Google, Azure, Alibaba and Oracle. */
const metadataAddresses: ReadonlySet<string> = new Set([
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  "168.63.129.16",
  "100.100.100.200",
  "192.0.0.192",
]);
const metadataGroups: ReadonlySet<string> = new Set(
  ["fd00:ec2::254", "fd00:ec2::23"].map(groupsText),
);

/** @param address Text of an IPv4 or IPv6 address, without brackets. */
export function addressKind(address: string): AddressKind {
  const [plain = ""] = address.split("%", 1);
  if (isIPv4(plain)) return kindOfV4(plain);
  if (!isIPv6(plain)) return "local";
  const groups = groupsOf(plain);
  if (metadataGroups.has(groups.join(":"))) return "metadata";
  const embedded = embeddedV4(groups);
  if (embedded !== undefined) return kindOfV4(embedded);
  const [first = 0] = groups;
  if (groups.slice(0, 7).every((group) => group === 0)) return "local";
  if ((first & 0xffc0) === 0xfe80) return "local";
  return (first & 0xff00) === 0xff00 ? "group" : "other";
}

function kindOfV4(address: string): AddressKind {
  if (metadataAddresses.has(address)) return "metadata";
  const [first = 0, second = 0] = address.split(".").map(Number);
  if (first === 0 || first === 127 || (first === 169 && second === 254)) return "local";
  return first >= 224 ? "group" : "other";
}

/** The IPv4 address inside a mapped, compatible, NAT64 or 6to4 address. */
function embeddedV4(groups: readonly number[]): string | undefined {
  const [first = 0, second = 0, third = 0] = groups;
  const [seventh = 0, eighth = 0] = groups.slice(6);
  const isZeroFrom = (from: number, to: number) =>
    groups.slice(from, to).every((group) => group === 0);
  const isMapped = isZeroFrom(0, 5) && (groups[5] === 0xffff || groups[5] === 0);
  const isTranslated = isZeroFrom(0, 4) && groups[4] === 0xffff && groups[5] === 0;
  const isNat64 = first === 0x64 && second === 0xff9b;
  if (isMapped && groups[5] === 0 && seventh === 0) return undefined;
  if (isMapped || isTranslated || isNat64) return quad(seventh, eighth);
  return first === 0x2002 ? quad(second, third) : undefined;
}

function quad(high: number, low: number): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, head = "", ...bytes] = dotted ?? [];
  const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
  const hex =
    dotted === null
      ? address
      : `${head}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  const [left = "", right] = hex.split("::");
  const before = left === "" ? [] : left.split(":");
  const after = right === undefined || right === "" ? [] : right.split(":");
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

function groupsText(address: string): string {
  return groupsOf(address).join(":");
}
