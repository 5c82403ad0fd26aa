/** A bound on work at hand: each piece that began must `leave` once. */
export interface Slots {
  /** Runs `begin` now or in turn. False: too many wait already, and it will never run. */
  readonly enter: (begin: () => void) => boolean;
  /** Ends one piece of work, so that the next begins. */
  readonly leave: () => void;
}

/** Lets `busyMax` pieces of work run at once and `waitingMax` wait, first come first served. */
export function slots(busyMax: number, waitingMax: number): Slots {
  const waiting: (() => void)[] = [];
  let busy = 0;
  return {
    enter: (begin) => {
      if (busy < busyMax) {
        busy += 1;
        begin();
        return true;
      }
      return waiting.length < waitingMax && waiting.push(begin) > 0;
    },
    leave: () => {
      const next = waiting.shift();
      if (next === undefined) busy -= 1;
      else next();
    },
  };
}
