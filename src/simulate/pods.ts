/**
 * The replicas' pods as the kubelets and the scheduler move them on.
 *
 * @module
 */
import type { Cluster } from "./cluster.ts";
import { isDeleting, type Replica } from "./replica.ts";
import type { CompleteScenario } from "./scenario.ts";
import type { Traffic } from "./traffic.ts";

export interface Pods {
  /** All that are not gone, by creation. */
  readonly all: () => readonly Replica[];
  /** Another number after every change of any of them. */
  readonly generation: () => number;
  /** Creates one; false where the quota forbids it. */
  readonly create: (revision: number, ordinal: number, nowMs: number) => boolean;
  /** Asks one to end: it takes no more requests and finishes those it has. */
  readonly remove: (replica: Replica, nowMs: number) => void;
  /** Its container ends and is started again. */
  readonly crash: (replica: Replica, nowMs: number) => void;
  /** Schedules, starts, makes ready and ends what is due. */
  readonly advance: (nowMs: number) => void;
}

export interface PodsOptions {
  readonly scenario: CompleteScenario;
  readonly cluster: Cluster;
  readonly traffic: Traffic;
}

/** Replicas that are there at the start have been ready for this long. */
const readyBeforeMs = 3_600_000;

export function pods({ scenario, cluster, traffic }: PodsOptions): Pods {
  const { replica: model, target, cluster: limits } = scenario;
  const size = target.kind === "LeaderWorkerSet" ? target.groupSize : 1;
  const loadMs = model.loadSeconds * 1000;
  let all: Replica[] = [];
  let generation = 0;
  let created = 0;

  const changed = (nowMs: number) => {
    generation += 1;
    traffic.serveWith(all, nowMs);
  };

  const make = (revision: number, ordinal: number, nowMs: number): Replica => {
    const number = created;
    created += 1;
    const replica: Replica = {
      number,
      name: ordinal >= 0 ? `llm-${ordinal}` : `llm-${revision}-${String(number).padStart(5, "0")}`,
      revision,
      ordinal,
      createdAtMs: nowMs,
      phase: "pending",
      loadedAtMs: Number.POSITIVE_INFINITY,
      readyChangedAtMs: nowMs,
      nodes: [],
      devices: [],
      busyShare: 0,
      engine: traffic.engineFor(number, () => replica),
    };
    all.push(replica);
    return replica;
  };

  const schedule = (replica: Replica, nowMs: number): boolean => {
    if (nowMs < replica.createdAtMs + limits.schedulingSeconds * 1000) return false;
    if (!cluster.place(replica, size)) return false;
    replica.phase = "loading";
    replica.scheduledAtMs = nowMs;
    replica.loadedAtMs = nowMs + loadMs;
    replica.readyChangedAtMs = nowMs;
    return true;
  };

  const makeReady = (replica: Replica, nowMs: number) => {
    replica.phase = "ready";
    replica.readyChangedAtMs = nowMs;
  };

  const isDone = ({ engine, deletingAtMs = nowhere, phase }: Replica, nowMs: number) =>
    phase !== "ready" ||
    nowMs >= deletingAtMs + model.drainSeconds * 1000 ||
    engine.running() + engine.waiting() === 0;

  const end = (replica: Replica, nowMs: number) => {
    replica.phase = "gone";
    cluster.release(replica);
    traffic.takeBack(replica, nowMs);
  };

  /** @returns Whether it changed. */
  const move = (replica: Replica, nowMs: number): boolean => {
    if (isDeleting(replica)) {
      if (!isDone(replica, nowMs)) return false;
      end(replica, nowMs);
      return true;
    }
    if (replica.phase === "pending") return schedule(replica, nowMs);
    if (replica.phase !== "loading" || nowMs < replica.loadedAtMs) return false;
    makeReady(replica, nowMs);
    return true;
  };

  for (let ordinal = 0; ordinal < target.replicas; ordinal += 1) {
    const replica = make(0, target.kind === "Deployment" ? -1 : ordinal, -readyBeforeMs - loadMs);
    if (schedule(replica, -readyBeforeMs - loadMs + limits.schedulingSeconds * 1000))
      makeReady(replica, -readyBeforeMs);
  }
  changed(0);

  return {
    all: () => all,
    generation: () => generation,
    create: (revision, ordinal, nowMs) => {
      if ((all.length + 1) * size > limits.podQuota) return false;
      make(revision, ordinal, nowMs);
      changed(nowMs);
      return true;
    },
    remove: (replica, nowMs) => {
      replica.deletingAtMs ??= nowMs;
      changed(nowMs);
    },
    crash: (replica, nowMs) => {
      if (replica.phase !== "ready") return;
      replica.phase = "loading";
      replica.readyChangedAtMs = nowMs;
      replica.loadedAtMs = nowMs + loadMs;
      changed(nowMs);
      traffic.takeBack(replica, nowMs);
      replica.engine = traffic.engineFor(replica.number, () => replica);
    },
    advance: (nowMs) => {
      let hasChanged = false;
      for (const replica of all) hasChanged = move(replica, nowMs) || hasChanged;
      if (!hasChanged) return;
      all = all.filter(({ phase }) => phase !== "gone");
      changed(nowMs);
    },
  };
}

const nowhere = Number.POSITIVE_INFINITY;
