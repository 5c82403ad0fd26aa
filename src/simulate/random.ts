/** Random numbers that a seed decides. */
export interface Random {
  /** From 0 to below 1. */
  readonly next: () => number;
  /** With this mean, as the gaps of a Poisson process are. */
  readonly exponential: (mean: number) => number;
  /** With mean 0 and deviation 1. */
  readonly normal: () => number;
}

/**
 * Another stream for each name, so that one more number drawn here changes nothing there.
 *
 * Source: mulberry32 by Tommy Ettinger, of the public domain; the name is mixed in by FNV-1a.
 */
export function randomStream(seed: number, name: string): Random {
  let state = 0x811c9dc5 ^ seed;
  for (let index = 0; index < name.length; index += 1)
    state = Math.imul(state ^ name.charCodeAt(index), 0x01000193);

  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    exponential: (mean) => -Math.log(1 - next()) * mean,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}
