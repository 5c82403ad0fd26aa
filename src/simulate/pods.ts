/**
 * The replicas' pods as the kubelets and the scheduler move them on.
 *
 * @module
 */
import { readyBeforeMs } from "#core/limits.ts";
import type { Cluster } from "./cluster.ts";
import { isDeleting, type ServingReplica } from "./replica.ts";
import type { CompleteScenario } from "./scenario.ts";
import type { Traffic } from "./traffic.ts";

export interface Pods {
  /** All that are not gone, by creation. */
  readonly all: () => readonly ServingReplica[];
  /** Another number after every change of any of them. */
  readonly generation: () => number;
  /** Creates one; false where the quota forbids it. */
  readonly create: (revision: number, ordinal: number, nowMs: number) => boolean;
  /** Asks one to end: it takes no more requests and finishes those it has. */
  readonly remove: (replica: ServingReplica, nowMs: number) => void;
  /** Its container ends and is started again. */
  readonly crash: (replica: ServingReplica, nowMs: number) => void;
  /** Schedules, starts, makes ready and ends what is due. */
  readonly advance: (nowMs: number) => void;
}

export interface PodsOptions {
  readonly scenario: CompleteScenario;
  readonly cluster: Cluster;
  readonly traffic: Traffic;
}

interface PodsState extends PodsOptions {
  /** Pods of a replica. */
  readonly groupSize: number;
  readonly loadMs: number;
  all: ServingReplica[];
  generation: number;
  created: number;
}

export function pods(options: PodsOptions): Pods {
  const { replica: model, target, cluster } = options.scenario;
  const groupSize = target.kind === "LeaderWorkerSet" ? target.groupSize : 1;
  const loadMs = model.loadSeconds * 1000;
  const state: PodsState = {
    ...options,
    groupSize,
    loadMs,
    all: [],
    generation: 0,
    created: 0,
  };
  createFirst(state);

  return {
    all: () => state.all,
    generation: () => state.generation,
    create: (revision, ordinal, nowMs) => {
      if ((state.all.length + 1) * groupSize > cluster.podQuota) return false;
      make(state, revision, ordinal, nowMs);
      changed(state, nowMs);
      return true;
    },
    remove: (replica, nowMs) => {
      replica.deletingAtMs ??= nowMs;
      changed(state, nowMs);
    },
    crash: (replica, nowMs) => {
      if (replica.phase !== "ready") return;
      startLoading(state, replica, nowMs);
      changed(state, nowMs);
      options.traffic.takeBack(replica, nowMs);
      replica.engine = options.traffic.engineFor(replica.number, () => replica);
    },
    advance: (nowMs) => {
      let hasChanged = false;
      for (const replica of state.all) hasChanged = move(state, replica, nowMs) || hasChanged;
      if (!hasChanged) return;
      state.all = state.all.filter(({ phase }) => phase !== "gone");
      changed(state, nowMs);
    },
  };
}

/** Those that are there from the start have been ready for a while. */
function createFirst(state: PodsState): void {
  const { target, cluster } = state.scenario;
  const readyAtMs = -readyBeforeMs;
  const scheduledAtMs = readyAtMs - state.loadMs;
  const createdAtMs = scheduledAtMs - cluster.schedulingSeconds * 1000;
  for (let ordinal = 0; ordinal < target.replicas; ordinal += 1) {
    const replica = make(state, 0, target.kind === "Deployment" ? -1 : ordinal, createdAtMs);
    if (schedule(state, replica, scheduledAtMs)) makeReady(replica, readyAtMs);
  }
  changed(state, 0);
}

function changed(state: PodsState, nowMs: number): void {
  state.generation += 1;
  state.traffic.serveWith(state.all, nowMs);
}

function make(
  state: PodsState,
  revision: number,
  ordinal: number,
  createdAtMs: number,
): ServingReplica {
  const number = state.created;
  state.created += 1;
  const { name } = state.scenario.target;
  const suffix = ordinal >= 0 ? ordinal : `${revision}-${String(number).padStart(5, "0")}`;
  const replica: ServingReplica = {
    number,
    name: `${name}-${suffix}`,
    revision,
    ordinal,
    createdAtMs,
    phase: "pending",
    loadedAtMs: Number.POSITIVE_INFINITY,
    readyChangedAtMs: createdAtMs,
    nodes: [],
    devices: [],
    busyShare: 0,
    engine: state.traffic.engineFor(number, () => replica),
  };
  state.all.push(replica);
  return replica;
}

/** @returns Whether it changed. */
function move(state: PodsState, replica: ServingReplica, nowMs: number): boolean {
  if (isDeleting(replica)) return isDone(state, replica, nowMs) && end(state, replica, nowMs);
  if (replica.phase === "pending") return schedule(state, replica, nowMs);
  if (replica.phase !== "loading" || nowMs < replica.loadedAtMs) return false;
  makeReady(replica, nowMs);
  return true;
}

function schedule(state: PodsState, replica: ServingReplica, nowMs: number): boolean {
  const { schedulingSeconds } = state.scenario.cluster;
  if (nowMs < replica.createdAtMs + schedulingSeconds * 1000) return false;
  if (!state.cluster.place(replica, state.groupSize)) return false;
  replica.scheduledAtMs = nowMs;
  startLoading(state, replica, nowMs);
  return true;
}

function startLoading({ loadMs }: PodsState, replica: ServingReplica, nowMs: number): void {
  replica.phase = "loading";
  replica.loadedAtMs = nowMs + loadMs;
  replica.readyChangedAtMs = nowMs;
}

function makeReady(replica: ServingReplica, nowMs: number): void {
  replica.phase = "ready";
  replica.readyChangedAtMs = nowMs;
}

/** Whether one that is being deleted has nothing left to do, or no time. */
function isDone({ scenario }: PodsState, replica: ServingReplica, nowMs: number): boolean {
  const { engine, phase, deletingAtMs = nowMs } = replica;
  const isOverdue = nowMs >= deletingAtMs + scenario.replica.drainSeconds * 1000;
  return phase !== "ready" || isOverdue || engine.running() + engine.waiting() === 0;
}

function end({ cluster, traffic }: PodsState, replica: ServingReplica, nowMs: number): boolean {
  replica.phase = "gone";
  cluster.release(replica);
  traffic.takeBack(replica, nowMs);
  return true;
}
