import { counts } from "./counts.ts";

/**
 * Runs a task now or in its turn.
 *
 * @param share Whose task it is: shares take turns, so that one with many tasks delays itself alone.
 */
export type Slots = <Result>(task: () => Promise<Result>, share?: unknown) => Promise<Result>;

/**
 * Runs at most `most` tasks at once, of one share at most `mostOfShare`; the others wait, in order
 * within their share.
 */
export function slots(most: number, mostOfShare = most): Slots {
  const runningOf = counts<unknown>();
  const queues = new Map<unknown, (() => void)[]>();
  let running = 0;

  const turn = (share: unknown) =>
    new Promise<void>((start) => {
      const queue = queues.get(share);
      if (queue === undefined) queues.set(share, [start]);
      else queue.push(start);
    });

  const isFull = (share: unknown) => runningOf.of(share) >= mostOfShare;

  const takeNext = () => {
    for (const [share, queue] of queues) {
      if (isFull(share)) continue;
      const start = queue.shift();
      queues.delete(share);
      if (queue.length > 0) queues.set(share, queue);
      runningOf.change(share, 1);
      return start;
    }
    return undefined;
  };

  return async (task, share) => {
    if (running >= most || isFull(share)) await turn(share);
    else {
      running += 1;
      runningOf.change(share, 1);
    }
    try {
      return await task();
    } finally {
      runningOf.change(share, -1);
      // The slot is handed on, not freed, so that nobody slips in between.
      const start = takeNext();
      if (start === undefined) running -= 1;
      else start();
    }
  };
}
