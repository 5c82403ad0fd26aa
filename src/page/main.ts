/**
 * The status page: follows the server's events and shows what they say.
 *
 * @module
 */
import { spanText } from "#core/span-text.ts";
import type { TriggerHistoryRow, TriggerStatusRow } from "#observe/status.ts";
import { byId, setHidden, setText } from "./dom.ts";
import { explanationDialog } from "./explanation.ts";
import { agentList, fleetList } from "./fleet.ts";
import {
  applyHistory,
  applyRows,
  emptyState,
  type PageState,
  type RowsEvent,
  triggerState,
  triggerStates,
} from "./state.ts";
import { workloadList } from "./workloads.ts";

const state = emptyState();
const dialog = byId("dialog");
if (!(dialog instanceof HTMLDialogElement)) throw new Error("#dialog is a dialog");
const filter = byId("filter");
if (!(filter instanceof HTMLInputElement)) throw new Error("#filter is an input");
const { open } = explanationDialog(dialog);
const renderWorkloads = workloadList(byId("workloads"), state, open);
const renderFleet = fleetList(byId("nodes"), state);
const renderAgents = agentList(byId("agents"), state);

filter.addEventListener("input", render);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === filter || dialog.open) return;
  event.preventDefault();
  filter.focus();
});
follow();

/** The browser connects again by itself; the first event of each connection has everything. */
function follow(): void {
  const events = new EventSource("api/events");
  let isFirst = true;
  events.addEventListener("open", () => {
    isFirst = true;
    void readHistory();
  });
  events.addEventListener("error", () => connection("The scaler cannot be reached; trying again."));
  events.addEventListener("rows", ({ data }: MessageEvent<string>) => {
    const event: RowsEvent = JSON.parse(data);
    applyRows(state, event, isFirst);
    isFirst = false;
    connection(undefined);
    render();
  });
}

async function readHistory(): Promise<void> {
  const history = await fetchHistory();
  if (history === undefined) return connection("The scaler cannot be reached; trying again.");
  applyHistory(state, history);
  render();
}

/** Absent: nothing came of it. The events, which try again by themselves, ask for it anew. */
async function fetchHistory(): Promise<readonly TriggerHistoryRow[] | undefined> {
  try {
    const response = await fetch("api/history");
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

function connection(problem: string | undefined): void {
  const text = problem ?? (state.process?.unready && `Not ready: ${state.process.unready}`);
  setText(byId("connection"), text ?? "live");
  byId("connection").className = text === undefined ? "live" : "broken";
}

function render(): void {
  // What nobody sees need not be drawn; the next event comes within seconds.
  if (document.hidden) return;
  const { process } = state;
  if (process !== undefined) {
    const { role, version, nodeName, startedAtMs } = process;
    const uptime = spanText(state.atMs - startedAtMs);
    setText(byId("process"), `${role} on ${nodeName} · version ${version} · up ${uptime}`);
  }
  const text = filter instanceof HTMLInputElement ? filter.value.trim().toLowerCase() : "";
  const found = shown(state, text);
  renderWorkloads(found);
  setText(byId("workload-count"), countText(found.size, state.triggers.size));
  setHidden(byId("no-workloads"), found.size > 0);
  setText(byId("no-workloads"), emptyText(state, text));
  renderFleet(nodesShown(state, text));
  renderAgents(state.agents);
  const devices = [...state.nodes.values()].reduce((sum, node) => sum + node.devices.length, 0);
  setText(byId("fleet-count"), `${state.nodes.size} nodes, ${devices} devices`);
}

/** Those with a trouble first, then by name. */
function shown({ triggers }: PageState, text: string): ReadonlyMap<string, TriggerStatusRow> {
  const rank = (row: TriggerStatusRow) =>
    Math.min(triggerStates.indexOf(triggerState(row)), triggerStates.indexOf("active"));
  const rows = [...triggers]
    .filter(([, { namespace, name }]) => `${namespace}/${name}`.includes(text))
    .sort(([, one], [, other]) => rank(one) - rank(other) || byName(one, other));
  return new Map(rows);
}

function byName(one: TriggerStatusRow, other: TriggerStatusRow): number {
  return `${one.namespace}/${one.name}` < `${other.namespace}/${other.name}` ? -1 : 1;
}

/** A node that has the name, or a device of a pod that has it. */
function nodesShown({ nodes }: PageState, text: string): PageState["nodes"] {
  if (text === "") return nodes;
  const holds = ({ namespace, pod }: { readonly namespace: string; readonly pod: string }) =>
    `${namespace}/${pod}`.includes(text);
  return new Map(
    [...nodes].filter(
      ([name, { devices }]) =>
        name.includes(text) || devices.some(({ holders }) => holders.some(holds)),
    ),
  );
}

function countText(found: number, all: number): string {
  return found === all ? `${all} triggers` : `${found} of ${all} triggers`;
}

function emptyText({ process, triggers }: PageState, text: string): string {
  if (triggers.size > 0) return `No ScaledObject has "${text}" in its name.`;
  if (process?.role === "agent") return "An agent answers no triggers; ask a scaler.";
  return "No ScaledObject names this scaler yet, and nobody has asked.";
}
