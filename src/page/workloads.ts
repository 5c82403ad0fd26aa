/**
 * A card for each trigger of a ScaledObject or ScaledJob.
 *
 * @module
 */
import { cardPlotPixels } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import type { TriggerStatusRow } from "#observe/status.ts";
import { element, type KeyedElement, keyedList, setClass, setHidden, setText } from "./dom.ts";
import { number } from "./format.ts";
import { type Plot, plot } from "./plot.ts";
import { type PageState, type TriggerState, triggerState } from "./state.ts";

const stateTexts: Readonly<Record<TriggerState, string>> = {
  refused: "no answer",
  warned: "warning",
  active: "active",
  idle: "idle",
};

export function workloadList(
  parent: HTMLElement,
  state: PageState,
  open: (row: TriggerStatusRow) => void,
): (rows: ReadonlyMap<string, TriggerStatusRow>) => void {
  return keyedList<TriggerStatusRow>(parent, (row) => createCard(row, state, open));
}

function createCard(
  first: TriggerStatusRow,
  state: PageState,
  open: (row: TriggerStatusRow) => void,
): KeyedElement<TriggerStatusRow> {
  let row = first;
  let drawn: Plot | undefined;
  const chip = element("span", { class: "chip" });
  const title = element("button", { class: "title", type: "button" });
  title.append(element("span", { class: "quiet" }, `${first.namespace}/`), first.name);
  title.addEventListener("click", () => open(row));
  const metric = element("p", { class: "quiet metric" });
  const value = element("dd");
  const target = element("dd");
  const replicas = element("dd");
  const power = element("dd");
  const powerFigure = element("div", {}, element("dt", {}, "power"), power);
  const figures = element(
    "dl",
    { class: "figures" },
    element("div", {}, element("dt", {}, "value"), value),
    element("div", {}, element("dt", {}, "target a replica"), target),
    element("div", {}, element("dt", {}, "replicas"), replicas),
  );
  const canvas = element("div", { class: "plot", "aria-hidden": "true" });
  const note = element("p", { class: "note" });
  const root = element(
    "article",
    { class: "card" },
    element("header", { class: "headed" }, element("h3", {}, title), chip),
    metric,
    figures,
    canvas,
    note,
  );
  return {
    root,
    update: (next) => {
      row = next;
      const { trigger } = next;
      const condition = triggerState(next);
      setText(chip, stateTexts[condition]);
      setClass(chip, `chip ${condition}`);
      setText(metric, metricText(next));
      setText(value, number(next.value?.result));
      setText(target, number(trigger?.target));
      setText(replicas, replicasText(next));
      setText(power, `${number(next.powerWatts)} W`);
      if (next.powerWatts === undefined) powerFigure.remove();
      else if (powerFigure.parentElement === null) figures.append(powerFigure);
      const text = noteText(next, state.atMs);
      setText(note, text);
      setHidden(note, text === "");
      drawn ??= plot(canvas, "value", cardPlotPixels);
      drawn.update(next, state.points.get(next.id) ?? []);
    },
    // A plot costs a canvas.
    hide: () => {
      drawn?.remove();
      drawn = undefined;
    },
  };
}

function metricText({ trigger }: TriggerStatusRow): string {
  if (trigger === undefined) return "the trigger cannot be used";
  const { metric, unit, profile } = trigger;
  return [metric, unit && `(${unit})`, profile && `· ${profile}`].filter(Boolean).join(" ");
}

/** `3 → 4 (1 to 9)`: as it is, what the HPA is asked for, and the limits. */
function replicasText({ workload, value }: TriggerStatusRow): string {
  if (workload === undefined) return "–";
  const { replicas, desiredReplicas, minReplicas, maxReplicas } = workload;
  // Without an answer the HPA is asked for nothing, whatever it was before.
  const isAsked = value?.fault === undefined && desiredReplicas !== undefined;
  const desired = isAsked && desiredReplicas !== replicas ? ` → ${desiredReplicas}` : "";
  return `${replicas}${desired} (${minReplicas} to ${maxReplicas})`;
}

function noteText({ value, activity, warnings, coverage }: TriggerStatusRow, nowMs: number) {
  const fault = value?.fault ?? activity?.fault;
  if (fault !== undefined) return `For ${spanText(nowMs - fault.sinceMs)}: ${fault.message}`;
  const notes = warnings.map(({ message }) => message);
  if (coverage !== undefined && coverage.missing > 0)
    notes.unshift(`${coverage.missing} of ${coverage.missing + coverage.counted} replicas missing`);
  if (coverage !== undefined && coverage.warming > 0) notes.push(`${coverage.warming} starting`);
  return notes.join(" · ");
}
