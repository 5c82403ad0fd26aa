/**
 * What came of a simulation, and how it is written down on the way.
 *
 * @module
 */
import type { HpaDecision } from "./hpa.ts";
import type { ScalerAnswer } from "./keda.ts";
import type { ExplainedAnswer } from "./product/product.ts";
import { isDeleting, isServing } from "./replica.ts";
import type { Simulation } from "./simulation.ts";

/** The state of things at a time: whenever it changed, and now and then. */
export interface TimelineRow {
  readonly atMs: number;
  /** Of the scale target. */
  readonly specReplicas: number;
  readonly statusReplicas: number;
  /** Those that get new requests. */
  readonly readyReplicas: number;
  /** Those that are being deleted and still work. */
  readonly drainingReplicas: number;
  /** Requests that are worked on, in all replicas. */
  readonly running: number;
  /** Requests in the queues of replicas. */
  readonly queued: number;
  /** Requests that wait in front for a replica. */
  readonly waiting: number;
  /** Percent, the sum over all devices that are held; each at most 100. */
  readonly utilizationPercent: number;
  /** What the last poll of KEDA found. */
  readonly isActive: boolean;
  readonly hasError: boolean;
}

/** What the scaler answered at a sync of the HPA, and what the HPA made of it. */
export interface Decision extends HpaDecision {
  readonly atMs: number;
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly readyReplicas: number;
  /** By trigger. */
  readonly answers: readonly ExplainedAnswer[];
}

/** An answer to a poll of KEDA. */
export interface PollRow {
  readonly atMs: number;
  readonly answers: readonly ExplainedAnswer[];
}

export interface ScaleEvent {
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly by: "HPA" | "KEDA";
}

/** What two replicas of the scaler answered at the same moment. */
export interface Comparison {
  readonly atMs: number;
  readonly trigger: number;
  readonly before: ScalerAnswer;
  readonly after: ScalerAnswer;
}

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface RequestSummary {
  readonly count: number;
  readonly finished: number;
  /** Of each request, from the start. */
  readonly arrivedMs: Float64Array;
  /** From arrival into the batch; of each request by arrival, not a number where it never came. */
  readonly waitsMs: Float64Array;
  /** From arrival to the first token. */
  readonly firstTokensMs: Float64Array;
  readonly wait: Percentiles;
  readonly firstToken: Percentiles;
  /** That came while no replica was ready. */
  readonly coldStarts: number;
  /** Whose replica went away while it worked on them, so that they began anew. */
  readonly interrupted: number;
}

/** What is written down while a simulation runs, each list in the order of time. */
export interface Records {
  readonly timeline: readonly TimelineRow[];
  readonly decisions: readonly Decision[];
  readonly polls: readonly PollRow[];
  readonly events: readonly ScaleEvent[];
  readonly comparisons: readonly Comparison[];
}

export interface Run extends Records {
  readonly seconds: number;
  readonly requests: RequestSummary;
  /** Devices that pods held, times seconds. */
  readonly gpuSeconds: number;
  /** With a target of 0 replicas. */
  readonly zeroSeconds: number;
}

export interface Recorder {
  readonly tick: (state: RecordedState) => void;
  readonly decision: (decision: Decision) => void;
  readonly poll: (row: PollRow) => void;
  readonly event: (event: ScaleEvent) => void;
  readonly comparison: (comparison: Comparison) => void;
  readonly records: Records;
  /** What came of it up to now. */
  readonly run: () => Run;
}

/** What the recorder cannot see in the simulation. */
export interface RecordedState {
  readonly statusReplicas: number;
  readonly isActive: boolean;
  readonly hasError: boolean;
  /** Whether this moment is written down although nothing changed. */
  readonly isDue: boolean;
  /** Seconds since the last tick. */
  readonly seconds: number;
}

export function recorder(simulation: Simulation): Recorder {
  const timeline: TimelineRow[] = [];
  const decisions: Decision[] = [];
  const polls: PollRow[] = [];
  const events: ScaleEvent[] = [];
  const comparisons: Comparison[] = [];
  let gpuSeconds = 0;
  let zeroSeconds = 0;
  let lastGeneration = -1;
  let lastSpec = -1;
  let lastActive = false;
  let lastError = false;

  const count = (seconds: number) => {
    for (const { devices } of simulation.pods.all())
      for (const held of devices) gpuSeconds += held.length * seconds;
    if (simulation.specReplicas() === 0) zeroSeconds += seconds;
  };

  const records = { timeline, decisions, polls, events, comparisons };
  return {
    records,
    tick: ({ statusReplicas, isActive, hasError, isDue, seconds }) => {
      count(seconds);
      const generation = simulation.pods.generation();
      const spec = simulation.specReplicas();
      const isChanged =
        generation !== lastGeneration ||
        spec !== lastSpec ||
        isActive !== lastActive ||
        hasError !== lastError;
      if (!(isDue || isChanged)) return;
      [lastGeneration, lastSpec, lastActive, lastError] = [generation, spec, isActive, hasError];
      timeline.push({ ...rowOf(simulation), statusReplicas, isActive, hasError });
    },
    decision: (decision) => decisions.push(decision),
    poll: (row) => polls.push(row),
    event: (event) => events.push(event),
    comparison: (comparison) => comparisons.push(comparison),
    run: () => ({
      ...records,
      seconds: simulation.nowMs() / 1000,
      requests: summary(simulation),
      gpuSeconds,
      zeroSeconds,
    }),
  };
}

function rowOf(
  simulation: Simulation,
): Omit<TimelineRow, "statusReplicas" | "isActive" | "hasError"> {
  const { cluster, pods, traffic } = simulation;
  let [running, queued, readyReplicas, drainingReplicas] = [0, 0, 0, 0];
  for (const replica of pods.all()) {
    running += replica.engine.running();
    queued += replica.engine.waiting();
    if (isServing(replica)) readyReplicas += 1;
    if (isDeleting(replica)) drainingReplicas += 1;
  }
  let utilizationPercent = 0;
  for (const node of cluster.nodes)
    for (const device of node)
      if (device.holders.size > 0) utilizationPercent += cluster.utilizationOf(device);
  return {
    atMs: simulation.nowMs(),
    specReplicas: simulation.specReplicas(),
    readyReplicas,
    drainingReplicas,
    running,
    queued,
    waiting: traffic.waiting(),
    utilizationPercent,
  };
}

function summary({ traffic }: Simulation): RequestSummary {
  const { requests } = traffic;
  const count = requests.count();
  const waitsMs = new Float64Array(count);
  const firstTokensMs = new Float64Array(count);
  let finished = 0;
  for (let request = 0; request < count; request += 1) {
    const arrivedMs = requests.arrivedMs[request] ?? 0;
    waitsMs[request] = (requests.admittedMs[request] ?? 0) - arrivedMs;
    firstTokensMs[request] = (requests.firstTokenMs[request] ?? 0) - arrivedMs;
    if (!Number.isNaN(requests.finishedMs[request])) finished += 1;
  }
  return {
    count,
    finished,
    arrivedMs: requests.arrivedMs.slice(0, count),
    waitsMs,
    firstTokensMs,
    wait: percentiles(waitsMs),
    firstToken: percentiles(firstTokensMs),
    coldStarts: traffic.coldStarts(),
    interrupted: traffic.interrupted(),
  };
}

/** Of those that are numbers; not a number where none is. */
function percentiles(all: Float64Array): Percentiles {
  // Those that are no numbers sort last.
  const sorted = all.toSorted();
  const known = sorted.findIndex(Number.isNaN);
  const size = known === -1 ? sorted.length : known;
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * size) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
