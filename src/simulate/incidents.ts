/**
 * What goes wrong and when, and what of it is in force now.
 *
 * @module
 */
import { isDeleting, type ServingReplica } from "./replica.ts";
import type { Incident } from "./scenario.ts";

export interface Incidents {
  /** Those that happen at this moment; each is given once. */
  readonly take: (nowMs: number) => readonly Incident[];
  readonly silentSinceMs: (node: number, nowMs: number) => number | undefined;
  readonly isUnreachable: (replica: ServingReplica, nowMs: number) => boolean;
  readonly isMisfit: (replica: ServingReplica, nowMs: number) => boolean;
  readonly isScalerDown: (nowMs: number) => boolean;
  /** Remembers which replica an incident struck. */
  readonly strike: (
    incident: Incident,
    replicas: readonly ServingReplica[],
  ) => ServingReplica | undefined;
}

const none: readonly Incident[] = [];

export function incidents(all: readonly Incident[]): Incidents {
  const pending = all.toSorted((one, other) => one.atSecond - other.atSecond);
  const struck = new Map<Incident, ServingReplica>();
  let next = 0;

  /** From the moment after it happens. */
  const isOn = (incident: Incident, nowMs: number) => {
    const { atSecond } = incident;
    const until = "untilSecond" in incident ? incident.untilSecond : undefined;
    return nowMs > atSecond * 1000 && nowMs < (until ?? Number.POSITIVE_INFINITY) * 1000;
  };
  const strikes = (kind: Incident["kind"], replica: ServingReplica, nowMs: number) =>
    all.some(
      (incident) =>
        incident.kind === kind && isOn(incident, nowMs) && struck.get(incident) === replica,
    );

  return {
    take: (nowMs) => {
      const from = next;
      while ((pending[next]?.atSecond ?? Number.POSITIVE_INFINITY) * 1000 <= nowMs) next += 1;
      return from === next ? none : pending.slice(from, next);
    },
    silentSinceMs: (node, nowMs) => {
      const silence = all.find(
        (incident) =>
          incident.kind === "silent-node" && incident.node === node && isOn(incident, nowMs),
      );
      return silence && silence.atSecond * 1000;
    },
    isUnreachable: (replica, nowMs) => strikes("unreachable-engine", replica, nowMs),
    isMisfit: (replica, nowMs) => strikes("misfit-engine", replica, nowMs),
    isScalerDown: (nowMs) =>
      all.some((incident) => incident.kind === "scaler-down" && isOn(incident, nowMs)),
    strike: (incident, replicas) => {
      if (!("replica" in incident)) return undefined;
      const there = replicas.filter((replica) => !isDeleting(replica));
      const replica = there[Math.min(incident.replica, there.length - 1)];
      if (replica !== undefined) struck.set(incident, replica);
      return replica;
    },
  };
}
