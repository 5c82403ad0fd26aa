/**
 * Writes events of what is wrong with ScaledObjects and ScaledJobs, and of its end.
 *
 * Every replica of the scaler looks at every trigger and writes the same events, each under one name,
 * so that there is one of each.
 *
 * @module
 */
import { unlessFault } from "#core/fault.ts";
import { eventRetryMs } from "#core/limits.ts";
import type { FleetStore } from "#fleet/view.ts";
import { type EventObject, eventWrite } from "#kubernetes/events.ts";
import { objectWriter } from "#kubernetes/object-writer.ts";
import type { IdentifiedStatus } from "#observe/decision-log.ts";
import { type DueEvent, problemTracker } from "#observe/problem-tracker.ts";
import { isAnswered, type Problem, problemsOf } from "#observe/problems.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import type { Kubernetes } from "./cluster.ts";
import type { Runtime, ServeOptions } from "./options.ts";
import { unwellDevices } from "./unwell-devices.ts";

export interface ObjectEventsContext extends Runtime {
  /** Absent where there is no Kubernetes API. */
  readonly kubernetes: Pick<Kubernetes, "client"> | undefined;
  readonly workloads: Pick<Workloads, "admit" | "peek"> | undefined;
  readonly store: Pick<FleetStore, "view">;
}

export interface ObjectEvents {
  /** Looks at all triggers, and writes what is due; returns before anything is written. */
  readonly check: (triggers: readonly IdentifiedStatus[]) => void;
  readonly stop: () => void;
}

/**
 * @returns `undefined` in a process that writes none: one that sees its own node alone would say what
 * those of other nodes deny.
 */
export function objectEvents(
  { hasEvents, role }: Pick<ServeOptions, "hasEvents" | "role">,
  { kubernetes, workloads, store, clock, log, random }: ObjectEventsContext,
): ObjectEvents | undefined {
  if (!hasEvents || role !== "scaler") return undefined;
  if (kubernetes === undefined || workloads === undefined) return undefined;
  const { client } = kubernetes;
  const failureEvent = "events cannot be written";
  const writer = objectWriter({ client, clock, random, log, failureEvent });
  const tracker = problemTracker(clock);
  const objectOf = ({ ref }: IdentifiedStatus) => eventObject(workloads, ref);
  const write = async ({ event, putBack }: DueEvent) => {
    const { path, fields } = eventWrite(event);
    const outcome = await writer.write(path, fields);
    // One that was not tried at all waits for no more than the API server.
    if (outcome === undefined) putBack(0);
    if (outcome === "failed") putBack(eventRetryMs);
  };
  return {
    check: (triggers) => {
      tracker.observe([
        ...triggers.flatMap((status) => triggerProblems(status, objectOf)),
        ...unwellDevices(triggers, { view: store.view(), workloads: workloads.peek, objectOf }),
      ]);
      if (!writer.isOpen()) return;
      const answered = Map.groupBy(triggers.filter(isAnswered), ({ ref }) => keyOf(ref));
      const isObjectAnswered = (object: EventObject) =>
        answered.get(keyOf(object))?.some((status) => objectOf(status)?.uid === object.uid) ??
        false;
      for (const event of tracker.due(isObjectAnswered)) void write(event);
    },
    stop: writer.stop,
  };
}

function keyOf({ namespace, name }: Pick<EventObject, "namespace" | "name">): string {
  return `${namespace}/${name}`;
}

function triggerProblems(
  status: IdentifiedStatus,
  objectOf: (status: IdentifiedStatus) => EventObject | undefined,
): readonly Problem[] {
  if (status.warnings.length === 0 && isAnswered(status)) return [];
  const object = objectOf(status);
  return object === undefined ? [] : problemsOf(status, object);
}

/** @returns `undefined` when no object has the trigger any more. */
function eventObject(
  { admit }: Pick<Workloads, "admit">,
  { namespace, name, scalerMetadata }: IdentifiedStatus["ref"],
): EventObject | undefined {
  const object = unlessFault(() => admit(namespace, name, scalerMetadata));
  if (object?.uid === undefined) return undefined;
  const { kind, uid } = object;
  return { apiVersion: kedaApiVersion, kind, namespace, name, uid };
}

const kedaApiVersion = "keda.sh/v1alpha1";
