/**
 * An inference engine: a queue, a batch with so many slots, prompts that are read one after the
 * other, and a cache that a request must fit into before it starts.
 *
 * How fast a request gets its tokens is settled when it starts, by how full the batch is then. So
 * each request costs two events however many others come and go.
 *
 * @module
 */
import {
  column,
  type EngineHistory,
  endToEndEdges,
  engineHistory,
  firstTokenEdges,
  type HistoryColumn,
} from "./history.ts";
import { type Fifo, fifo, type Requests } from "./requests.ts";
import type { ReplicaModel } from "./scenario.ts";

export interface Engine {
  readonly history: EngineHistory;
  /** How many it works on. */
  readonly running: () => number;
  readonly waiting: () => number;
  /** Mean share of the slots in use since the last call, which ends at `nowMs`. */
  readonly takeBusyShare: (nowMs: number) => number;
  /** Takes a request into the queue, and starts it if there is room. */
  readonly enqueue: (request: number, nowMs: number) => void;
  readonly firstToken: (request: number, nowMs: number) => void;
  /** Ends a request, and starts what there is room for now. */
  readonly finish: (request: number, nowMs: number) => void;
  /** Ends; @returns what it had not finished, in the order in which it came. */
  readonly stop: (nowMs: number) => readonly number[];
}

export interface EngineOptions {
  readonly model: ReplicaModel;
  readonly requests: Requests;
  /** Which part of its devices it has now: 0.5 while it shares them with another that is busy. */
  readonly speed: () => number;
  /** Called with the times at which a request will have its first token and its last. */
  readonly begun: (request: number, firstTokenMs: number, finishedMs: number) => void;
}

interface EngineState extends EngineOptions {
  readonly history: EngineHistory;
  readonly queue: Fifo;
  readonly working: Set<number>;
  kvUsed: number;
  /** When the prompts that it has begun will be read. */
  promptsReadMs: number;
  /** Slots in use times milliseconds since `takenAtMs`, up to `slotsAtMs`. */
  slotMs: number;
  slotsAtMs: number;
  takenAtMs: number;
}

export function engine(options: EngineOptions): Engine {
  const state: EngineState = {
    ...options,
    history: engineHistory(),
    queue: fifo(),
    working: new Set(),
    kvUsed: 0,
    promptsReadMs: 0,
    slotMs: 0,
    slotsAtMs: 0,
    takenAtMs: 0,
  };
  const { history, queue, working, requests } = state;
  return {
    history,
    running: () => working.size,
    waiting: queue.length,
    takeBusyShare: (nowMs) => takeBusyShare(state, nowMs),
    enqueue: (request, nowMs) => {
      requests.enqueuedMs[request] = nowMs;
      queue.push(request);
      count(history, column.arrived, 1);
      admit(state, nowMs);
    },
    firstToken: (request, nowMs) => {
      requests.firstTokenMs[request] = nowMs;
      count(history, column.promptTokens, requests.promptTokens[request] ?? 0);
      history.observe(column.firstToken, firstTokenEdges, sinceEnqueuedMs(state, request, nowMs));
    },
    finish: (request, nowMs) => finish(state, request, nowMs),
    stop: (nowMs) => stop(state, nowMs),
  };
}

function admit(state: EngineState, nowMs: number): void {
  const { model, queue, working, history } = state;
  while (working.size < model.batchSlots) {
    const request = queue.first();
    if (request === -1 || state.kvUsed + blocksOf(state, request) > model.kvBlocks) break;
    queue.shift();
    start(state, request, nowMs);
  }
  history.now[column.running] = working.size;
  history.now[column.waiting] = queue.length();
  history.now[column.kvShare] = state.kvUsed / model.kvBlocks;
}

function start(state: EngineState, request: number, nowMs: number): void {
  const { model, requests, working, history } = state;
  integrate(state, nowMs);
  working.add(request);
  state.kvUsed += blocksOf(state, request);
  requests.admittedMs[request] = nowMs;
  count(history, column.admitted, 1);
  count(history, column.queueWait, sinceEnqueuedMs(state, request, nowMs));
  const share = state.speed();
  const promptTokens = requests.promptTokens[request] ?? 0;
  const prefillMs = (promptTokens / (model.prefillTokensPerSecond * share)) * 1000;
  state.promptsReadMs = Math.max(state.promptsReadMs, nowMs) + prefillMs;
  const slowdown =
    1 + (model.batchSlowdown * (working.size - 1)) / Math.max(1, model.batchSlots - 1);
  const perSecond = (model.decodeTokensPerSecond * share) / slowdown;
  const decodeMs = ((requests.outputTokens[request] ?? 0) / perSecond) * 1000;
  state.begun(request, state.promptsReadMs, state.promptsReadMs + decodeMs);
}

function finish(state: EngineState, request: number, nowMs: number): void {
  const { requests, working, history } = state;
  integrate(state, nowMs);
  working.delete(request);
  state.kvUsed -= blocksOf(state, request);
  requests.finishedMs[request] = nowMs;
  count(history, column.finished, 1);
  count(history, column.outputTokens, requests.outputTokens[request] ?? 0);
  history.observe(column.endToEnd, endToEndEdges, sinceEnqueuedMs(state, request, nowMs));
  admit(state, nowMs);
}

function stop(state: EngineState, nowMs: number): readonly number[] {
  const { queue, working } = state;
  const left = [...working].sort((one, other) => one - other);
  for (let next = queue.shift(); next !== -1; next = queue.shift()) left.push(next);
  working.clear();
  state.kvUsed = 0;
  admit(state, nowMs);
  return left;
}

/** One that never fits is worked on alone, as an engine that truncates it would. */
function blocksOf({ model, requests }: EngineState, request: number): number {
  const tokens = (requests.promptTokens[request] ?? 0) + (requests.outputTokens[request] ?? 0);
  return Math.min(model.kvBlocks, Math.ceil(tokens / model.kvBlockTokens));
}

function sinceEnqueuedMs({ requests }: EngineState, request: number, nowMs: number): number {
  return nowMs - (requests.enqueuedMs[request] ?? nowMs);
}

function count({ now }: EngineHistory, at: HistoryColumn, by: number): void {
  now[at] = (now[at] ?? 0) + by;
}

/** Before each change of what it works on. */
function integrate(state: EngineState, nowMs: number): void {
  state.slotMs += state.working.size * (nowMs - state.slotsAtMs);
  state.slotsAtMs = nowMs;
}

function takeBusyShare(state: EngineState, nowMs: number): number {
  integrate(state, nowMs);
  const elapsedMs = nowMs - state.takenAtMs;
  const share = elapsedMs > 0 ? state.slotMs / (elapsedMs * state.model.batchSlots) : 0;
  state.slotMs = 0;
  state.takenAtMs = nowMs;
  return share;
}
