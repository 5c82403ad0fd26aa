/**
 * Who is at the other end of a socket, and how much of what is costly it may do.
 *
 * @module
 */
import { isIPv6 } from "node:net";
import { type AllowanceLimits, allowance } from "#core/allowance.ts";
import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { peersMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";

/**
 * The peer that an address belongs to: the address itself, and of IPv6 its first 64 bits, because
 * whoever has one address of such a network has them all.
 */
export function peerOf(address: string | undefined): string {
  if (address === undefined || !isIPv6(address)) return address ?? "";
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail = ""] = address.replace(/%.*$/, "").split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [first, last] = [groups(head), groups(tail)];
  const zeros = address.includes("::") ? Math.max(0, 8 - first.length - last.length) : 0;
  const all = [...first, ...Array.from({ length: zeros }, () => "0"), ...last];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

export interface ReputationLimits {
  /** What a peer may do of what a client that works does not. */
  readonly strikes: AllowanceLimits;
  /** Time for which a peer that did more is not let in. */
  readonly barMs: number;
}

/** What is known of peers by what they did. */
export interface Reputations {
  /** Counts what a client that works does not do. @returns Whether that was too much. */
  readonly strike: (peer: string) => boolean;
  /** Keeps a peer out for `barMs`, because of what it did. */
  readonly bar: (peer: string, what: string) => void;
  /** Remembers that a peer takes its answers. */
  readonly praise: (peer: string) => void;
  readonly isKnown: (peer: string) => boolean;
  readonly isBarred: (peer: string) => boolean;
}

export function reputations(
  { strikes, barMs }: ReputationLimits,
  clock: Pick<Clock, "monotonicMs">,
  log: Log,
): Reputations {
  const mayStrike = allowance(strikes, peersMax, clock);
  const known = new Map<string, true>();
  const barredUntilMs = new Map<string, number>();
  return {
    strike: (peer) => !mayStrike(peer),
    bar: (peer, what) => {
      log("warn", "peer barred", { peer, what, barMs });
      known.delete(peer);
      setNewest(barredUntilMs, peer, clock.monotonicMs() + barMs, peersMax);
    },
    praise: (peer) => {
      if (!known.has(peer)) setNewest(known, peer, true, peersMax);
    },
    isKnown: (peer) => known.has(peer),
    isBarred: (peer) => (barredUntilMs.get(peer) ?? 0) > clock.monotonicMs(),
  };
}
