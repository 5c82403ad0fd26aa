/**
 * An inference engine: a queue, a batch with so many slots, prompts that are read one after the
 * other, and a cache that a request must fit into before it starts.
 *
 * How fast a request gets its tokens is settled when it starts, by how full the batch is then. So
 * each request costs two events however many others come and go.
 *
 * @module
 */
import { column, endToEndEdges, firstTokenEdges, type History, history } from "./history.ts";
import { type Fifo, fifo, type Requests } from "./requests.ts";
import type { ReplicaModel } from "./scenario.ts";

export interface Engine {
  readonly history: History;
  /** How many it works on. */
  readonly running: () => number;
  readonly waiting: () => number;
  /** Mean share of the slots in use since the last call, which ends at `nowMs`. */
  readonly takeBusyShare: (nowMs: number) => number;
  /** Takes a request into the queue. */
  readonly enqueue: (request: number, nowMs: number) => void;
  readonly firstToken: (request: number, nowMs: number) => void;
  readonly finish: (request: number, nowMs: number) => void;
  /** Ends; @returns what it had not finished, in the order in which it came. */
  readonly stop: (nowMs: number) => readonly number[];
}

export interface EngineOptions {
  readonly model: ReplicaModel;
  readonly requests: Requests;
  /** Which part of its devices it has now: 0.5 while it shares them with another that is busy. */
  readonly speed: () => number;
  /** Told when a request will have its first token and its last. */
  readonly begun: (request: number, firstTokenMs: number, finishedMs: number) => void;
}

export function engine({ model, requests, speed, begun }: EngineOptions): Engine {
  const { batchSlots, kvBlocks, kvBlockTokens, batchSlowdown } = model;
  const past = history();
  const { now } = past;
  const queue: Fifo = fifo();
  const working = new Set<number>();
  let kvUsed = 0;
  let promptsReadMs = 0;
  let slotMs = 0;
  let slotsAtMs = 0;
  let takenAtMs = 0;

  /** Before each change of what it works on. */
  const integrate = (nowMs: number) => {
    slotMs += working.size * (nowMs - slotsAtMs);
    slotsAtMs = nowMs;
  };
  const blocksOf = (request: number) => {
    const tokens = (requests.promptTokens[request] ?? 0) + (requests.outputTokens[request] ?? 0);
    // One that never fits is worked on alone, as an engine that truncates it would.
    return Math.min(kvBlocks, Math.ceil(tokens / kvBlockTokens));
  };
  const count = (at: number, by: number) => {
    now[at] = (now[at] ?? 0) + by;
  };
  const gauges = () => {
    now[column.running] = working.size;
    now[column.waiting] = queue.length();
    now[column.kvShare] = kvUsed / kvBlocks;
  };

  const start = (request: number, nowMs: number) => {
    integrate(nowMs);
    working.add(request);
    kvUsed += blocksOf(request);
    requests.admittedMs[request] = nowMs;
    count(column.admitted, 1);
    count(column.queueWaitMs, nowMs - (requests.enqueuedMs[request] ?? nowMs));
    const share = speed();
    const prompt = requests.promptTokens[request] ?? 0;
    const prefillMs = (prompt / (model.prefillTokensPerSecond * share)) * 1000;
    promptsReadMs = Math.max(promptsReadMs, nowMs) + prefillMs;
    const slowdown = 1 + (batchSlowdown * (working.size - 1)) / Math.max(1, batchSlots - 1);
    const perSecond = (model.decodeTokensPerSecond * share) / slowdown;
    const decodeMs = ((requests.outputTokens[request] ?? 0) / perSecond) * 1000;
    begun(request, promptsReadMs, promptsReadMs + decodeMs);
  };

  const admit = (nowMs: number) => {
    while (working.size < batchSlots) {
      const request = queue.first();
      if (request === -1 || kvUsed + blocksOf(request) > kvBlocks) break;
      queue.shift();
      start(request, nowMs);
    }
    gauges();
  };

  return {
    history: past,
    running: () => working.size,
    waiting: () => queue.length(),
    takeBusyShare: (nowMs) => {
      integrate(nowMs);
      const share = nowMs > takenAtMs ? slotMs / ((nowMs - takenAtMs) * batchSlots) : 0;
      slotMs = 0;
      takenAtMs = nowMs;
      return share;
    },
    enqueue: (request, nowMs) => {
      count(column.arrived, 1);
      requests.enqueuedMs[request] = nowMs;
      queue.push(request);
      admit(nowMs);
    },
    firstToken: (request, nowMs) => {
      requests.firstTokenMs[request] = nowMs;
      count(column.promptTokens, requests.promptTokens[request] ?? 0);
      const seconds = (nowMs - (requests.enqueuedMs[request] ?? nowMs)) / 1000;
      past.observe(column.firstToken, firstTokenEdges, seconds);
    },
    finish: (request, nowMs) => {
      integrate(nowMs);
      working.delete(request);
      kvUsed -= blocksOf(request);
      requests.finishedMs[request] = nowMs;
      count(column.finished, 1);
      count(column.outputTokens, requests.outputTokens[request] ?? 0);
      const seconds = (nowMs - (requests.enqueuedMs[request] ?? nowMs)) / 1000;
      past.observe(column.endToEnd, endToEndEdges, seconds);
      admit(nowMs);
    },
    stop: (nowMs) => {
      integrate(nowMs);
      const left = [...working].sort((one, other) => one - other);
      for (let next = queue.shift(); next !== -1; next = queue.shift()) left.push(next);
      working.clear();
      kvUsed = 0;
      gauges();
      return left;
    },
  };
}
