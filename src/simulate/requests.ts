/**
 * Every request there was, a column each, and what is due when. Plain numbers in growing columns:
 * a simulated day has a million requests.
 *
 * @module
 */
import { requestsFirst } from "#core/limits.ts";

/** Times are from the start; not a number while it has not happened. */
export interface Requests {
  readonly count: () => number;
  /** @returns The request's number; numbers ascend by arrival. */
  readonly add: (atMs: number, promptTokens: number, outputTokens: number) => number;
  arrivedMs: Float64Array;
  /** When the engine that works on it got it. */
  enqueuedMs: Float64Array;
  /** When it came into the batch. */
  admittedMs: Float64Array;
  firstTokenMs: Float64Array;
  finishedMs: Float64Array;
  promptTokens: Int32Array;
  outputTokens: Int32Array;
  /** The number of the replica that has it, or had it last. */
  replica: Int32Array;
  /** How often it began anew, because what worked on it went away. */
  restarts: Uint8Array;
}

export function requestTable(): Requests {
  let count = 0;
  const table: Requests = {
    count: () => count,
    add: (atMs, promptTokens, outputTokens) => {
      if (count === table.arrivedMs.length) grow(table);
      const request = count;
      count += 1;
      table.arrivedMs[request] = atMs;
      table.enqueuedMs[request] = Number.NaN;
      table.admittedMs[request] = Number.NaN;
      table.firstTokenMs[request] = Number.NaN;
      table.finishedMs[request] = Number.NaN;
      table.promptTokens[request] = promptTokens;
      table.outputTokens[request] = outputTokens;
      return request;
    },
    arrivedMs: new Float64Array(requestsFirst),
    enqueuedMs: new Float64Array(requestsFirst),
    admittedMs: new Float64Array(requestsFirst),
    firstTokenMs: new Float64Array(requestsFirst),
    finishedMs: new Float64Array(requestsFirst),
    promptTokens: new Int32Array(requestsFirst),
    outputTokens: new Int32Array(requestsFirst),
    replica: new Int32Array(requestsFirst),
    restarts: new Uint8Array(requestsFirst),
  };
  return table;
}

function grow(table: Requests): void {
  const capacity = table.arrivedMs.length * 2;
  const times = ["arrivedMs", "enqueuedMs", "admittedMs", "firstTokenMs", "finishedMs"] as const;
  for (const name of times) {
    const wider = new Float64Array(capacity);
    wider.set(table[name]);
    table[name] = wider;
  }
  for (const name of ["promptTokens", "outputTokens", "replica"] as const) {
    const wider = new Int32Array(capacity);
    wider.set(table[name]);
    table[name] = wider;
  }
  const restarts = new Uint8Array(capacity);
  restarts.set(table.restarts);
  table.restarts = restarts;
}

/** Numbers, first in, first out. */
export interface Fifo {
  readonly length: () => number;
  readonly push: (request: number) => void;
  /** @returns -1 when it is empty. */
  readonly first: () => number;
  readonly shift: () => number;
}

export function fifo(): Fifo {
  let ring = new Int32Array(64);
  let head = 0;
  let length = 0;
  return {
    length: () => length,
    push: (request) => {
      if (length === ring.length) {
        const wider = new Int32Array(ring.length * 2);
        for (let index = 0; index < length; index += 1)
          wider[index] = ring[(head + index) & (ring.length - 1)] ?? 0;
        ring = wider;
        head = 0;
      }
      ring[(head + length) & (ring.length - 1)] = request;
      length += 1;
    },
    first: () => (length === 0 ? -1 : (ring[head] ?? -1)),
    shift: () => {
      if (length === 0) return -1;
      const request = ring[head] ?? -1;
      head = (head + 1) & (ring.length - 1);
      length -= 1;
      return request;
    },
  };
}

/** What is due: a time and a number each, the earliest first, equal times in the order they came. */
export interface Agenda {
  /** Infinite when nothing is due. */
  readonly nextMs: () => number;
  readonly push: (atMs: number, item: number) => void;
  /** Takes the earliest away. */
  readonly pop: () => number;
}

/** A binary heap in two columns. */
export function agenda(): Agenda {
  let times = new Float64Array(256);
  let orders = new Float64Array(256);
  let items = new Float64Array(256);
  let size = 0;
  let pushed = 0;

  const isBefore = (one: number, other: number) => {
    const oneMs = times[one] ?? 0;
    const otherMs = times[other] ?? 0;
    return oneMs < otherMs || (oneMs === otherMs && (orders[one] ?? 0) < (orders[other] ?? 0));
  };
  const swap = (one: number, other: number) => {
    const time = times[one] ?? 0;
    const order = orders[one] ?? 0;
    const item = items[one] ?? 0;
    times[one] = times[other] ?? 0;
    orders[one] = orders[other] ?? 0;
    items[one] = items[other] ?? 0;
    times[other] = time;
    orders[other] = order;
    items[other] = item;
  };
  return {
    nextMs: () => (size === 0 ? Number.POSITIVE_INFINITY : (times[0] ?? 0)),
    push: (atMs, item) => {
      if (size === times.length) {
        times = doubled(times);
        orders = doubled(orders);
        items = doubled(items);
      }
      let index = size;
      size += 1;
      times[index] = atMs;
      orders[index] = pushed;
      items[index] = item;
      pushed += 1;
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (!isBefore(index, parent)) break;
        swap(index, parent);
        index = parent;
      }
    },
    pop: () => {
      const item = items[0] ?? 0;
      size -= 1;
      swap(0, size);
      let index = 0;
      for (;;) {
        const left = 2 * index + 1;
        if (left >= size) break;
        const right = left + 1;
        const least = right < size && isBefore(right, left) ? right : left;
        if (!isBefore(least, index)) break;
        swap(least, index);
        index = least;
      }
      return item;
    },
  };
}

function doubled(column: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const wider = new Float64Array(column.length * 2);
  wider.set(column);
  return wider;
}
