import { setNewest } from "./bounded-map.ts";
import type { Clock } from "./clock.ts";

export interface AllowanceLimits {
  /** What a key may do at once. */
  readonly most: number;
  /** How much of that it may do again after each second. */
  readonly perSecond: number;
}

/** Takes one from what a key, such as a peer, may do. @returns Whether there was one. */
export type Allowance = (key: string) => boolean;

/**
 * How much each key may do of what costs others more than whoever asks for it.
 *
 * @param keysMax Keys that are remembered; the one that asked longest ago is forgotten first.
 */
export function allowance(
  { most, perSecond }: AllowanceLimits,
  keysMax: number,
  clock: Pick<Clock, "monotonicMs">,
): Allowance {
  const remaining = new Map<string, { readonly left: number; readonly atMs: number }>();
  return (key) => {
    const atMs = clock.monotonicMs();
    const before = remaining.get(key) ?? { left: most, atMs };
    const left = Math.min(most, before.left + ((atMs - before.atMs) / 1_000) * perSecond);
    const allowed = left >= 1;
    setNewest(remaining, key, { left: allowed ? left - 1 : left, atMs }, keysMax);
    return allowed;
  };
}
