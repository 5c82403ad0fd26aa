/**
 * The front end: hands each request to the replica that has the fewest, keeps those for which there
 * is none, and plays everything that happens to requests in the order of time.
 *
 * @module
 */
import { type Engine, engine } from "./engine.ts";
import { column, type History, history } from "./history.ts";
import type { Arrivals } from "./load.ts";
import { isServing, type Replica } from "./replica.ts";
import { agenda, type Fifo, fifo, type Requests, requestTable } from "./requests.ts";
import type { ReplicaModel } from "./scenario.ts";

export interface Traffic {
  readonly requests: Requests;
  /** Waiting here for a replica. */
  readonly waiting: () => number;
  /** With the replicas, being worked on or in a queue. */
  readonly outstanding: () => number;
  /** What the front end tells of itself. */
  readonly history: History;
  /** Requests that came while no replica was ready. */
  readonly coldStarts: () => number;
  /** Requests that lost their replica while it worked on them. */
  readonly interrupted: () => number;
  /** An engine for the replica of that number, which `replica` gives once it is there. */
  readonly engineFor: (number: number, replica: () => Replica) => Engine;
  /** Sends requests to these from now on. */
  readonly serveWith: (replicas: readonly Replica[], nowMs: number) => void;
  /** Plays arrivals, first tokens and ends up to that time. */
  readonly advance: (nowMs: number) => void;
  /** Takes back what a replica had when it went away. */
  readonly takeBack: (replica: Replica, nowMs: number) => void;
}

export interface TrafficOptions {
  readonly arrivals: Arrivals;
  readonly model: ReplicaModel;
  readonly speedOf: (replica: Replica) => number;
}

/** An event is a request, how often it had begun anew by then, and which of the two it is. */
const restartsMax = 256;

export function traffic({ arrivals, model, speedOf }: TrafficOptions): Traffic {
  const requests = requestTable();
  const due = agenda();
  const front: Fifo = fifo();
  const past = history();
  /** By the number of their replica. */
  const engines: Engine[] = [];
  let serving: readonly Replica[] = [];
  let turn = 0;
  let outstanding = 0;
  let coldStarts = 0;
  let interrupted = 0;

  const gauges = () => {
    past.now[column.waiting] = front.length();
    past.now[column.running] = outstanding;
  };

  /** The one with the fewest requests; of equal ones the next in turn. */
  const leastBusy = (): Replica | undefined => {
    let best: Replica | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (let step = 0; step < serving.length; step += 1) {
      const replica = serving[(turn + step) % serving.length];
      if (replica === undefined) continue;
      const has = replica.engine.running() + replica.engine.waiting();
      if (has < fewest) {
        fewest = has;
        best = replica;
      }
    }
    turn += 1;
    return best;
  };

  const route = (request: number, nowMs: number) => {
    const replica = leastBusy();
    if (replica === undefined) front.push(request);
    else {
      requests.replica[request] = replica.number;
      outstanding += 1;
      replica.engine.enqueue(request, nowMs);
    }
  };

  const arrive = () => {
    const { atMs, promptTokens, outputTokens } = arrivals;
    const request = requests.add(atMs, promptTokens, outputTokens);
    past.now[column.arrived] = (past.now[column.arrived] ?? 0) + 1;
    if (serving.length === 0) coldStarts += 1;
    route(request, atMs);
    arrivals.advance();
  };

  const happen = (nowMs: number) => {
    const event = due.pop();
    const isEnd = event % 2 === 1;
    const rest = Math.floor(event / 2);
    const request = Math.floor(rest / restartsMax);
    if (rest % restartsMax !== requests.restarts[request]) return;
    const engineOf = engines[requests.replica[request] ?? -1];
    if (engineOf === undefined) return;
    if (!isEnd) return engineOf.firstToken(request, nowMs);
    outstanding -= 1;
    engineOf.finish(request, nowMs);
  };

  const begun = (request: number, firstTokenMs: number, finishedMs: number) => {
    const event = 2 * (request * restartsMax + (requests.restarts[request] ?? 0));
    due.push(firstTokenMs, event);
    due.push(finishedMs, event + 1);
  };

  return {
    requests,
    waiting: front.length,
    outstanding: () => outstanding,
    history: past,
    coldStarts: () => coldStarts,
    interrupted: () => interrupted,
    engineFor: (number, replica) => {
      const made = engine({ model, requests, speed: () => speedOf(replica()), begun });
      engines[number] = made;
      return made;
    },
    serveWith: (replicas, nowMs) => {
      serving = replicas.filter(isServing);
      for (let left = front.length(); left > 0 && serving.length > 0; left -= 1)
        route(front.shift(), nowMs);
      gauges();
    },
    advance: (nowMs) => {
      for (;;) {
        const nextMs = due.nextMs();
        if (Math.min(nextMs, arrivals.atMs) > nowMs) break;
        if (arrivals.atMs <= nextMs) arrive();
        else happen(nextMs);
      }
      gauges();
    },
    takeBack: (replica, nowMs) => {
      for (const request of replica.engine.stop(nowMs)) {
        outstanding -= 1;
        if (!Number.isNaN(requests.admittedMs[request] ?? Number.NaN)) interrupted += 1;
        requests.restarts[request] = ((requests.restarts[request] ?? 0) + 1) % restartsMax;
        requests.admittedMs[request] = Number.NaN;
        requests.firstTokenMs[request] = Number.NaN;
        route(request, nowMs);
      }
      gauges();
    },
  };
}
