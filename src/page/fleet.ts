/**
 * Nodes with their devices, and agents that cannot be heard.
 *
 * @module
 */
import { pageLateIntervals } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import type { AgentStatusRow, DeviceStatusRow, NodeStatusRow } from "#observe/status.ts";
import { element, type KeyedElement, keyedList, setClass, setHidden, setText } from "./dom.ts";
import { gibibytes, number } from "./format.ts";
import type { PageState } from "./state.ts";

export function fleetList(
  parent: HTMLElement,
  state: PageState,
): (rows: ReadonlyMap<string, NodeStatusRow>) => void {
  return keyedList<NodeStatusRow>(parent, (node) => createNode(node, state));
}

export function agentList(
  parent: HTMLElement,
  state: PageState,
): (rows: ReadonlyMap<string, AgentStatusRow>) => void {
  return keyedList<AgentStatusRow>(parent, () => {
    const root = element("li", { class: "note" });
    return {
      root,
      update: ({ address, node, silentSinceMs, reason }) => {
        const where = node === undefined ? address : `${node} (${address})`;
        setText(root, `${where}: not heard for ${spanText(state.atMs - silentSinceMs)}: ${reason}`);
      },
    };
  });
}

function createNode({ name }: NodeStatusRow, state: PageState): KeyedElement<NodeStatusRow> {
  const facts = element("p", { class: "quiet" });
  const tiles = element("ul", { class: "tiles" });
  const renderDevices = keyedList<DeviceStatusRow>(tiles, createDevice);
  const root = element(
    "section",
    { class: "node", "aria-label": `Node ${name}` },
    element("h3", {}, name),
    facts,
    tiles,
  );
  return {
    root,
    update: ({ devices, sampledAtMs, sampleIntervalMs, driverVersion, knowsHolders }) => {
      const ageMs = state.atMs - sampledAtMs;
      const isLate = ageMs > pageLateIntervals * sampleIntervalMs;
      setText(
        facts,
        [
          `${devices.length} devices`,
          isLate ? `late: read ${spanText(ageMs)} ago` : `read ${spanText(ageMs)} ago`,
          driverVersion && `driver ${driverVersion}`,
          knowsHolders ? "" : "the kubelet has not said who holds them",
        ]
          .filter(Boolean)
          .join(" · "),
      );
      setClass(facts, isLate ? "note" : "quiet");
      renderDevices(new Map(devices.map((device) => [device.uuid, device])));
    },
  };
}

function createDevice({ uuid, index, model }: DeviceStatusRow): KeyedElement<DeviceStatusRow> {
  const busy = meter("utilization");
  const memory = meter("memory");
  const facts = element("p", { class: "quiet" });
  const holders = element("p", { class: "holders" });
  const health = element("p", { class: "note" });
  const root = element(
    "li",
    { class: "tile" },
    element("h4", { title: uuid }, `${index} · ${model}`),
    busy.root,
    memory.root,
    facts,
    holders,
    health,
  );
  return {
    root,
    update: ({ readings, holders: held, health: state, conditions }) => {
      const { memoryUsedBytes: used, memoryTotalBytes: total } = readings;
      busy.set(readings.utilizationPercent, `${number(readings.utilizationPercent)} %`);
      const share = used === undefined || total === undefined ? undefined : (100 * used) / total;
      memory.set(share, `${gibibytes(used)} / ${gibibytes(total)} GiB`);
      const milliwatts = readings.powerInstantMilliwatts ?? readings.powerAverageMilliwatts;
      const watts = milliwatts === undefined ? undefined : Math.round(milliwatts / 1000);
      setText(facts, `${number(watts)} W · ${number(readings.temperatureCelsius)} °C`);
      setText(
        holders,
        held.map(({ namespace, pod }) => `${namespace}/${pod}`).join(", ") || "held by nobody",
      );
      const unwell = state.state === "ok" ? [] : [`${state.state}: ${state.reason}`];
      const notes = [...unwell, ...conditions.map(({ kind, detail }) => `${kind}: ${detail}`)];
      setText(health, notes.join(" · "));
      setHidden(health, notes.length === 0);
      setClass(root, state.state === "ok" ? "tile" : "tile unwell");
    },
  };
}

/** A bar with its name and number: colour and length alone would tell too little. */
function meter(name: string) {
  const bar = element("meter", { "aria-label": name });
  bar.max = 100;
  const text = element("span", {});
  const root = element("p", { class: "meter" }, element("span", {}, name), bar, text);
  return {
    root,
    set: (percent: number | undefined, label: string) => {
      // Without a number there is no bar: an empty one would say 0.
      setHidden(bar, percent === undefined);
      if (percent !== undefined && bar.value !== percent) bar.value = percent;
      setText(text, label);
    },
  };
}
