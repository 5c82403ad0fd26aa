/**
 * What the demo shows of the moment: a few bars for each workload, in 80 columns.
 *
 * @module
 */
import type { IdentifiedStatus } from "#observe/decision-log.ts";
import { rateAt } from "#simulate/load.ts";
import { isDeleting, type ServingReplica } from "#simulate/replica.ts";
import type { PlayedWorkload } from "./played-workload.ts";
import { bar, type Colour, type Paint } from "./text.ts";

const barWidth = 40;

/** What a workload is at in this moment. */
export interface Moment {
  readonly loadPerSecond: number;
  /** Requests in front and in queues. */
  readonly waiting: number;
  readonly running: number;
  readonly specReplicas: number;
  readonly ready: number;
  readonly starting: number;
  readonly ending: number;
  /** Percent, of each device; absent where nobody holds it. */
  readonly devices: readonly (readonly (number | undefined)[])[];
}

export function momentOf({ loop, scenario }: PlayedWorkload): Moment {
  const { pods, traffic, cluster, specReplicas, nowMs } = loop.simulation;
  const all = pods.all();
  const count = (is: (replica: ServingReplica) => boolean) => all.filter(is).length;
  const sum = (of: (replica: ServingReplica) => number) =>
    all.reduce((total, replica) => total + of(replica), 0);
  return {
    loadPerSecond: rateAt(scenario.load.rate, nowMs() / 1000),
    waiting: traffic.waiting() + sum(({ engine }) => engine.waiting()),
    running: sum(({ engine }) => engine.running()),
    specReplicas: specReplicas(),
    ready: count((replica) => replica.phase === "ready" && !isDeleting(replica)),
    starting: count((replica) => replica.phase !== "ready" && !isDeleting(replica)),
    ending: count(isDeleting),
    devices: cluster.nodes.map((devices) =>
      devices.map((device) =>
        device.holders.size === 0 ? undefined : cluster.utilizationOf(device),
      ),
    ),
  };
}

export function panel(workloads: readonly PlayedWorkload[], paint: Paint): readonly string[] {
  return workloads.flatMap((workload) => {
    const moment = momentOf(workload);
    const { minReplicaCount: least, maxReplicaCount: most } = workload.scenario.scaledObject;
    const head = `${workload.name.padEnd(8)}${workload.title}`;
    const triggers = workload.triggers();
    return [
      `${paint("bold", head)}${paint("dim", `, ${least} to ${most} replicas`)}`,
      loadLine(workload, moment, paint),
      queueLine(workload, moment, paint),
      ...workload.labels.map((label, index) => valueLine(label, triggers[index], moment, paint)),
      replicaLine(moment, paint),
      deviceLine(moment, paint),
      "",
    ];
  });
}

function line(label: string, cells: string, text: string, paint: Paint): string {
  return `  ${paint("dim", label.padEnd(10))}${cells}  ${text}`;
}

function loadLine({ scenario }: PlayedWorkload, { loadPerSecond }: Moment, paint: Paint): string {
  const { rate } = scenario.load;
  const peak = rate.kind === "ramps" ? Math.max(...rate.points.map((one) => one.perSecond)) : 1;
  const cells = bar(loadPerSecond / peak, { width: barWidth, colour: "cyan" }, paint);
  const text = loadPerSecond < 1 ? loadPerSecond.toFixed(2) : loadPerSecond.toFixed(1);
  return line("load", cells, `${text} requests a second`, paint);
}

/** Full when as many wait as eight replicas work on at once. */
function queueLine({ loop }: PlayedWorkload, moment: Moment, paint: Paint): string {
  const { waiting, running, ready } = moment;
  const { batchSlots } = loop.simulation.scenario.replica;
  const colour =
    waiting === 0 ? "green" : waiting > batchSlots * Math.max(1, ready) ? "red" : "yellow";
  const cells = bar(waiting / (8 * batchSlots), { width: barWidth, colour }, paint);
  return line("queue", cells, `${waiting} waiting, ${running} running`, paint);
}

/** The mark in the middle is the target of the replicas that are asked for. */
function valueLine(
  label: string,
  status: IdentifiedStatus | undefined,
  { specReplicas }: Moment,
  paint: Paint,
): string {
  const options = (colour: Colour) => ({ width: barWidth, colour, mark: 0.5 });
  const { trigger, value } = status ?? {};
  if (trigger === undefined || value === undefined)
    return line(label, bar(0, options("dim"), paint), "not answered yet", paint);
  if (value.result === undefined)
    return line(label, bar(0, options("red"), paint), paint("red", value.fault.code), paint);
  const replicas = value.result / trigger.target;
  const share = replicas / Math.max(1, specReplicas);
  const colour = share > 1.1 ? "red" : share > 0.5 ? "green" : "cyan";
  const text = `${short(value.result)} / ${short(trigger.target)} = ${replicas.toFixed(1)} replicas`;
  return line(label, bar(share / 2, options(colour), paint), text, paint);
}

function short(value: number): string {
  return Number(value.toFixed(value < 100 ? 1 : 0)).toString();
}

function replicaLine(moment: Moment, paint: Paint): string {
  const { specReplicas, ready, starting, ending } = moment;
  const groups = [
    { count: ready, cell: "■ ", colour: "green" },
    { count: starting, cell: "□ ", colour: "yellow" },
    { count: ending, cell: "x ", colour: "dim" },
  ] as const;
  const shown = groups.map(({ count, cell }) => cell.repeat(count)).join("");
  const cells = groups.map(({ count, cell, colour }) => paint(colour, cell.repeat(count))).join("");
  const padding = " ".repeat(Math.max(0, barWidth - shown.length));
  const named = [`${ready} ready`, `${starting} starting`, `${ending} ending`];
  const parts = named.filter((part, index) => index === 0 || !part.startsWith("0 "));
  const text =
    specReplicas === 0 ? "none asked for" : `${parts.slice(0, 2).join(", ")} of ${specReplicas}`;
  return line("replicas", `${cells}${padding}`, text, paint);
}

const levels = "▁▂▃▄▅▆▇█";

/** A column for each device, as high as it is busy. */
function deviceLine({ devices }: Moment, paint: Paint): string {
  const cell = (percent: number | undefined) => {
    if (percent === undefined) return paint("dim", "·");
    const level = levels.charAt(Math.min(7, Math.floor(percent / 12.5)));
    return paint(percent > 90 ? "red" : "green", level);
  };
  const nodes = devices.map((node) => node.map(cell).join(""));
  const width = devices.reduce((sum, node) => sum + node.length + 1, -1);
  const held = devices.flat().filter((percent) => percent !== undefined);
  const busy = held.reduce((sum, percent) => sum + percent, 0) / Math.max(1, held.length);
  const use = held.length === 0 ? "" : `, ${busy.toFixed(0)} % busy`;
  const text = `${held.length} of ${devices.flat().length} held${use}`;
  return line("GPUs", `${nodes.join(" ")}${" ".repeat(barWidth - width)}`, text, paint);
}
