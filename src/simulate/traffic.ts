/**
 * The front end: hands each request to the replica that has the fewest, or to any, keeps those for
 * which there is none, and plays everything that happens to requests in the order of time.
 *
 * @module
 */
import { requestRestartsMax } from "#core/limits.ts";
import { type Engine, engine } from "./engine.ts";
import { column, type EngineHistory, engineHistory } from "./history.ts";
import type { Arrivals } from "./load.ts";
import { isServing, type ServingReplica } from "./replica.ts";
import { type Agenda, agenda, type Fifo, fifo, type Requests, requestTable } from "./requests.ts";
import type { ReplicaModel } from "./scenario.ts";

export interface Traffic {
  readonly requests: Requests;
  /** Waiting here for a replica. */
  readonly waiting: () => number;
  /** What the front end exports of itself. */
  readonly history: EngineHistory;
  /** Requests that came while no replica was ready. */
  readonly coldStarts: () => number;
  /** Requests that lost their replica while it worked on them. */
  readonly interrupted: () => number;
  /** An engine for the replica of that number, which `replica` returns once it is there. */
  readonly engineFor: (number: number, replica: () => ServingReplica) => Engine;
  /** Sends requests to these from now on. */
  readonly serveWith: (replicas: readonly ServingReplica[], nowMs: number) => void;
  /** Plays arrivals, first tokens and ends up to that time. */
  readonly advance: (nowMs: number) => void;
  /** Takes back what a replica had when it went away. */
  readonly takeBack: (replica: ServingReplica, nowMs: number) => void;
}

export interface TrafficOptions {
  readonly arrivals: Arrivals;
  readonly model: ReplicaModel;
  readonly speedOf: (replica: ServingReplica) => number;
  /** From 0 to below 1: chooses among replicas; absent: the one with the fewest requests is next. */
  readonly chance?: (() => number) | undefined;
}

interface TrafficState {
  readonly arrivals: Arrivals;
  readonly requests: Requests;
  readonly due: Agenda;
  readonly front: Fifo;
  readonly history: EngineHistory;
  /** By the number of their replica. */
  readonly engines: Engine[];
  readonly chance: (() => number) | undefined;
  serving: readonly ServingReplica[];
  /** Who is next among equals. */
  turn: number;
  outstanding: number;
  coldStarts: number;
  interrupted: number;
}

export function traffic({ arrivals, model, speedOf, chance }: TrafficOptions): Traffic {
  const state: TrafficState = {
    arrivals,
    requests: requestTable(),
    due: agenda(),
    front: fifo(),
    history: engineHistory(),
    engines: [],
    chance,
    serving: [],
    turn: 0,
    outstanding: 0,
    coldStarts: 0,
    interrupted: 0,
  };
  const { requests, due, front, history, engines } = state;

  /** An event is a request, how often it had begun anew by then, and which of the two it is. */
  const begun = (request: number, firstTokenMs: number, finishedMs: number) => {
    const event = 2 * (request * requestRestartsMax + (requests.restarts[request] ?? 0));
    due.push(firstTokenMs, event);
    due.push(finishedMs, event + 1);
  };
  return {
    requests,
    waiting: front.length,
    history,
    coldStarts: () => state.coldStarts,
    interrupted: () => state.interrupted,
    engineFor: (number, replica) => {
      const made = engine({ model, requests, speed: () => speedOf(replica()), begun });
      engines[number] = made;
      return made;
    },
    serveWith: (replicas, nowMs) => {
      state.serving = replicas.filter(isServing);
      for (let left = front.length(); left > 0; left -= 1) route(state, front.shift(), nowMs);
      setGauges(state);
    },
    advance: (nowMs) => {
      for (;;) {
        const nextMs = due.nextMs();
        if (Math.min(nextMs, arrivals.atMs) > nowMs) break;
        if (arrivals.atMs <= nextMs) arrive(state);
        else happen(state, nextMs);
      }
      setGauges(state);
    },
    takeBack: (replica, nowMs) => takeBack(state, replica, nowMs),
  };
}

function setGauges({ history, front, outstanding }: TrafficState): void {
  history.now[column.waiting] = front.length();
  history.now[column.running] = outstanding;
}

/** The one with the fewest requests; of equal ones the next in turn. */
function leastBusy({ serving, turn }: TrafficState): ServingReplica | undefined {
  let best: ServingReplica | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (let step = 0; step < serving.length; step += 1) {
    const replica = serving[(turn + step) % serving.length];
    if (replica === undefined) continue;
    const load = replica.engine.running() + replica.engine.waiting();
    if (load >= fewest) continue;
    fewest = load;
    best = replica;
  }
  return best;
}

function route(state: TrafficState, request: number, nowMs: number): void {
  const { serving, chance } = state;
  const replica =
    chance === undefined ? leastBusy(state) : serving[Math.floor(chance() * serving.length)];
  state.turn += 1;
  if (replica === undefined) {
    state.front.push(request);
    return;
  }
  state.requests.replica[request] = replica.number;
  state.outstanding += 1;
  replica.engine.enqueue(request, nowMs);
}

function arrive(state: TrafficState): void {
  const { arrivals, requests, history } = state;
  const { atMs, promptTokens, outputTokens } = arrivals;
  const request = requests.add(atMs, promptTokens, outputTokens);
  history.now[column.arrived] = (history.now[column.arrived] ?? 0) + 1;
  if (state.serving.length === 0) state.coldStarts += 1;
  route(state, request, atMs);
  arrivals.advance();
}

/** What was due for a request that has begun anew since then is not any more. */
function happen(state: TrafficState, nowMs: number): void {
  const { due, requests, engines } = state;
  const event = due.pop();
  const half = Math.floor(event / 2);
  const request = Math.floor(half / requestRestartsMax);
  if (half % requestRestartsMax !== requests.restarts[request]) return;
  const own = engines[requests.replica[request] ?? 0];
  if (event % 2 === 0) own?.firstToken(request, nowMs);
  else {
    state.outstanding -= 1;
    own?.finish(request, nowMs);
  }
}

function takeBack(state: TrafficState, replica: ServingReplica, nowMs: number): void {
  const { requests } = state;
  for (const request of replica.engine.stop(nowMs)) {
    state.outstanding -= 1;
    if (!Number.isNaN(requests.admittedMs[request])) state.interrupted += 1;
    requests.restarts[request] = ((requests.restarts[request] ?? 0) + 1) % requestRestartsMax;
    requests.admittedMs[request] = Number.NaN;
    requests.firstTokenMs[request] = Number.NaN;
    route(state, request, nowMs);
  }
  setGauges(state);
}
