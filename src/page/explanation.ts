/**
 * The whole explanation of an object's triggers, in a dialog.
 *
 * @module
 */

import type { Explanation } from "#answer/explanation.ts";
import { explanationPlotPixels, explanationRefreshMs } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import type { ExplainedTrigger, TriggerStatusRow } from "#observe/status.ts";
import { byId, element } from "./dom.ts";
import { number, timeOfDay } from "./format.ts";
import { type Plot, plot } from "./plot.ts";

export interface ExplanationDialog {
  readonly open: (row: TriggerStatusRow) => void;
}

export function explanationDialog(dialog: HTMLDialogElement): ExplanationDialog {
  const body = byId("explanation");
  const heading = byId("explanation-title");
  let plots: readonly Plot[] = [];
  let timer: ReturnType<typeof setInterval> | undefined;
  let shown: TriggerStatusRow | undefined;

  const clear = () => {
    for (const one of plots) one.remove();
    plots = [];
    body.replaceChildren();
  };
  const refresh = async () => {
    const row = shown;
    if (row === undefined) return;
    const query = new URLSearchParams({ namespace: row.namespace, name: row.name });
    const found = await fetched(`api/explain?${query}`);
    if (shown !== row) return;
    const scrolled = body.scrollTop;
    clear();
    if (typeof found === "string") {
      body.append(element("p", { class: "note" }, found));
      return;
    }
    // The trigger that was chosen goes first; others of the object follow.
    const own = found.toSorted(
      (one, other) => Number(other.id === row.id) - Number(one.id === row.id),
    );
    for (const trigger of own) {
      const { root, drawn } = explained(trigger);
      body.append(root);
      plots = [...plots, ...drawn.map((draw) => draw())];
    }
    body.scrollTop = scrolled;
  };
  dialog.addEventListener("close", () => {
    clearInterval(timer);
    shown = undefined;
    clear();
  });
  byId("close").addEventListener("click", () => dialog.close());
  return {
    open: (row) => {
      shown = row;
      heading.textContent = `${row.namespace}/${row.name}`;
      dialog.showModal();
      timer = setInterval(refresh, explanationRefreshMs);
      void refresh();
    },
  };
}

async function fetched(path: string): Promise<readonly ExplainedTrigger[] | string> {
  try {
    const response = await fetch(path);
    if (!response.ok) return `The scaler answers ${response.status}: ${await response.text()}`;
    const found: readonly ExplainedTrigger[] = await response.json();
    return found.length > 0 ? found : "The scaler knows no trigger of this object any more.";
  } catch {
    return "The scaler cannot be reached now; this is tried again every few seconds.";
  }
}

function explained(trigger: ExplainedTrigger) {
  const { value, activity, warnings, points, changes, hpaText } = trigger;
  const [values, replicas] = [element("div", { class: "plot" }), element("div", { class: "plot" })];
  const faults = [...new Set([value?.fault?.message, activity?.fault?.message])];
  const root = element(
    "section",
    { class: "explained" },
    element("h3", {}, trigger.trigger?.metricName ?? "a trigger that cannot be used"),
    ...faults.flatMap((text) =>
      text === undefined ? [] : [element("p", { class: "note" }, text)],
    ),
    sentence("value", value?.result === undefined ? undefined : value.rule),
    sentence("what the HPA does", hpaText),
    sentence("activity", activity?.result === undefined ? undefined : activity.rule),
    sentence("asked by KEDA", askedText(trigger)),
    ...warnings.map(({ message }) => element("p", { class: "note" }, message)),
    element("h4", {}, "Value, and the target for its replicas"),
    values,
    element("h4", {}, "Replicas, and those the HPA is asked for"),
    replicas,
    contributions(trigger.valueExplanation ?? trigger.activityExplanation),
    changeList(changes),
  );
  const draw = (parent: HTMLElement, kind: "value" | "replicas") => () => {
    const drawn = plot(parent, kind, explanationPlotPixels);
    drawn.update(trigger, points);
    return drawn;
  };
  return { root, drawn: [draw(values, "value"), draw(replicas, "replicas")] };
}

function sentence(name: string, text: string | undefined): HTMLElement | undefined {
  if (text === undefined) return undefined;
  return element("p", {}, element("span", { class: "quiet" }, `${name}: `), text);
}

function askedText({ askedAtMs }: ExplainedTrigger): string {
  if (askedAtMs !== undefined) return `last at ${timeOfDay(askedAtMs)}`;
  return "not this process, since it started; another replica may be the one that KEDA asks";
}

function contributions(explanation: Explanation | undefined): HTMLElement | undefined {
  if (explanation === undefined) return undefined;
  const { workload, devices, engines = [] } = explanation;
  const tables = [
    table(
      "Replicas",
      ["pod", "node", "state", "value", "why"],
      (workload?.pods ?? []).map(({ name, node = "–", state, value, reason = "" }) => [
        name,
        node,
        state,
        number(value),
        reason,
      ]),
    ),
    table(
      "Devices",
      ["node", "index", "pod", "age", "value", "why"],
      devices.map(({ node, index, pod = "–", ageMs, value, reason = "" }) => [
        node,
        `${index}`,
        pod,
        spanText(ageMs),
        number(value),
        reason,
      ]),
    ),
    table(
      "Engines",
      ["read at", "engine", "pod", "age", "value", "why"],
      engines.map(({ target, engine = "–", pod = "–", ageMs, value, reason = "" }) => [
        target,
        engine,
        pod,
        ageMs === undefined ? "–" : spanText(ageMs),
        number(value),
        reason,
      ]),
    ),
  ];
  return element("div", {}, ...tables);
}

function table(
  title: string,
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): HTMLElement | undefined {
  if (rows.length === 0) return undefined;
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const lines = rows.map((cells) =>
    element("tr", {}, ...cells.map((text) => element("td", {}, text))),
  );
  return element(
    "div",
    {},
    element("h4", {}, title),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines)),
    ),
  );
}

function changeList(changes: ExplainedTrigger["changes"]): HTMLElement | undefined {
  if (changes.length === 0) return undefined;
  const items = changes
    .toReversed()
    .map(({ atMs, text }) =>
      element("li", {}, element("span", { class: "quiet" }, `${timeOfDay(atMs)} `), text),
    );
  return element("div", {}, element("h4", {}, "What changed"), element("ol", {}, ...items));
}
