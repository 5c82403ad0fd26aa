/**
 * What the page knows: the rows that the server sent, and the points of the last quarter of an hour.
 *
 * @module
 */
import { decisionPointMs, decisionPointsMax } from "#core/limits.ts";
import type {
  AgentStatusRow,
  NodeStatusRow,
  Status,
  TriggerHistoryRow,
  TriggerStatusRow,
} from "#observe/status.ts";
import type { DecisionPoint } from "#observe/trigger-history.ts";

/** One event of `/api/events`. */
export interface RowsEvent {
  readonly process: Status["process"];
  readonly atMs: number;
  readonly nodes: RowChanges<NodeStatusRow>;
  readonly agents: RowChanges<AgentStatusRow>;
  readonly triggers: RowChanges<TriggerStatusRow>;
}

interface RowChanges<Row> {
  readonly changed: readonly Row[];
  /** Keys of rows that are no more. */
  readonly gone: readonly string[];
}

export interface PageState {
  process: Status["process"] | undefined;
  /** The server's clock at the newest event; its times are by that clock. */
  atMs: number;
  readonly nodes: Map<string, NodeStatusRow>;
  readonly agents: Map<string, AgentStatusRow>;
  readonly triggers: Map<string, TriggerStatusRow>;
  /** By a trigger's id; oldest first. */
  readonly points: Map<string, DecisionPoint[]>;
}

export function emptyState(): PageState {
  return {
    process: undefined,
    atMs: 0,
    nodes: new Map(),
    agents: new Map(),
    triggers: new Map(),
    points: new Map(),
  };
}

/** @param isFirst Of a connection: it has everything, and what it lacks is gone. */
export function applyRows(state: PageState, event: RowsEvent, isFirst: boolean): void {
  state.process = event.process;
  state.atMs = event.atMs;
  apply(state.nodes, event.nodes, ({ name }) => name, isFirst);
  apply(state.agents, event.agents, ({ address }) => address, isFirst);
  apply(state.triggers, event.triggers, ({ id }) => id, isFirst);
  for (const id of state.points.keys()) if (!state.triggers.has(id)) state.points.delete(id);
  for (const row of state.triggers.values()) addPoint(state, row);
}

function apply<Row>(
  rows: Map<string, Row>,
  { changed, gone }: RowChanges<Row>,
  keyOf: (row: Row) => string,
  isFirst: boolean,
): void {
  if (isFirst) rows.clear();
  for (const key of gone) rows.delete(key);
  for (const row of changed) rows.set(keyOf(row), row);
}

/** The points that the server remembers, before those that this page saw itself. */
export function applyHistory(state: PageState, history: readonly TriggerHistoryRow[]): void {
  for (const { id, points } of history) {
    const firstMs = state.points.get(id)?.[0]?.atMs ?? Number.POSITIVE_INFINITY;
    const before = points.filter(({ atMs }) => atMs < firstMs);
    state.points.set(id, [...before, ...(state.points.get(id) ?? [])].slice(-decisionPointsMax));
  }
}

/** As the server does it: the last answer of ten seconds is their point. */
function addPoint(state: PageState, { id, value, activity, workload }: TriggerStatusRow): void {
  const points = state.points.get(id) ?? [];
  const last = points.at(-1);
  const isSame = last !== undefined && state.atMs - last.atMs < decisionPointMs;
  const isKnown = value?.fault === undefined;
  const point: DecisionPoint = {
    atMs: isSame ? last.atMs : state.atMs,
    value: value?.result,
    active: activity?.result,
    desiredReplicas: isKnown ? workload?.desiredReplicas : undefined,
    replicas: workload?.replicas,
  };
  if (isSame) points.pop();
  points.push(point);
  if (points.length > decisionPointsMax) points.shift();
  state.points.set(id, points);
}

/** What a person looks for first: what has no answer, then what is warned of, then by name. */
export function triggerState({ value, activity, warnings }: TriggerStatusRow): TriggerState {
  if ((value?.fault ?? activity?.fault) !== undefined) return "refused";
  if (warnings.length > 0) return "warned";
  return activity?.result === false ? "idle" : "active";
}

export const triggerStates = ["refused", "warned", "active", "idle"] as const;
export type TriggerState = (typeof triggerStates)[number];
