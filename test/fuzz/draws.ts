import { randomStream } from "#simulate/random.ts";

/** What mutations draw; the same seed and name give the same. */
export interface Draws {
  /** A whole number from 0 to below `most`. */
  readonly below: (most: number) => number;
  /** True in one of `most` cases. */
  readonly oneIn: (most: number) => boolean;
  /** @throws Where there is nothing to choose from. */
  readonly of: <Value>(values: readonly Value[]) => Value;
  /** Small numbers often, large ones seldom: from 0 to `most`. */
  readonly few: (most: number) => number;
}

export function drawsOf(seed: number, name: string): Draws {
  const { next } = randomStream(seed, name);
  const below = (most: number) => Math.floor(next() * most);
  return {
    below,
    oneIn: (most) => below(most) === 0,
    of: (values) => {
      const value = values[below(values.length)];
      if (value === undefined) throw new Error("Cannot draw: there is nothing to choose from");
      return value;
    },
    few: (most) => Math.floor((most + 1) ** next() - 1),
  };
}
