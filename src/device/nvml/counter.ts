/** Turns a counter that only grows into a rate. */
export interface Counter {
  /**
   * @param atMs Monotonic milliseconds of `count`.
   * @returns Units in a second since the count before; undefined while there is none to compare
   * with: at first, and after the counter started again.
   */
  readonly rate: (count: number, atMs: number) => number | undefined;
  readonly forget: () => void;
}

export function counter(): Counter {
  let before: number | undefined;
  let beforeMs = 0;
  return {
    rate: (count, atMs) => {
      const [grown, passedMs] = before === undefined ? [-1, 0] : [count - before, atMs - beforeMs];
      before = count;
      beforeMs = atMs;
      return grown < 0 || passedMs <= 0 ? undefined : (grown / passedMs) * 1000;
    },
    forget: () => {
      before = undefined;
    },
  };
}
