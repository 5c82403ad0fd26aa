/** Engines as answers see them: readings that a test sets, by target and signal. */
import { answerer } from "#answer/answerer.ts";
import type { EngineEndpoint, EngineReader } from "#answer/engine-reader.ts";
import { Fault } from "#core/fault.ts";
import type { AbsenceReason, EngineReading } from "#engine/scrape/reading.ts";
import { type ScrapeTarget, targetText } from "#engine/scrape/target.ts";
import { type SignalQuery, signalText } from "#engine/signal/query.ts";
import type { Observations } from "#engine/signal/result.ts";
import { mergedResult } from "#engine/signal/result.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload } from "#workload/workload.ts";
import { llm, pod, workload } from "./cluster.ts";
import { nowMs } from "./fleet.ts";

/** A number, a latency with what it is made of, or why there is none. */
export type Shown =
  | number
  | { readonly value?: number; readonly observations: Observations }
  | AbsenceReason;
/** By signal. */
export type Page = Readonly<Record<string, Shown>>;

/** A pod with an address of its own: `10.0.0.<number>`. */
export function serving(number: number, changes: Partial<Pod> = {}): Pod {
  return pod(`llm-${number}`, { ip: `10.0.0.${number}`, ...changes });
}

/** The buckets of a latency in seconds: how many requests took at most as long. */
export function latency(
  value: number | undefined,
  ...counts: readonly (readonly [number, number])[]
): Shown {
  const buckets = counts.map(([le, count]) => ({ le, count }));
  const observations: Observations = { kind: "buckets", q: 0.95, scale: 1_000, buckets };
  return value === undefined ? { observations } : { value, observations };
}

/** How much of one there is for each of another. */
export function share(sum: number, count: number): Shown {
  const observations: Observations = { kind: "mean", sum, count, scale: 1 };
  return count === 0 ? { observations } : { value: sum / count, observations };
}

function readingOf(spec: ScrapeTarget, ask: SignalQuery, page: Page = {}): EngineReading {
  const target = targetText(spec);
  const base = { target, engine: "vllm", ageMs: 1_500 };
  const shown = page[signalText(ask)] ?? "unavailable";
  if (typeof shown === "number") return { ...base, state: "known", value: shown };
  if (shown === "unreachable")
    return { target, state: "absent", reason: shown, fault: fault(shown, target) };
  if (typeof shown === "string")
    return { ...base, state: "absent", reason: shown, fault: fault(shown, target) };
  const { value, observations } = shown;
  return value === undefined
    ? {
        ...base,
        state: "absent",
        reason: "no-samples",
        observations,
        fault: fault("no-samples", target),
      }
    : { ...base, state: "known", value, observations };
}

function fault(reason: AbsenceReason, target: string): Fault {
  return reason === "unavailable" || reason === "lacking"
    ? new Fault("signal-unavailable", `Cannot read ${target}: not exported, it has queue_depth`, {
        engine: "vllm",
        signal: "",
        offered: ["queue_depth"],
      })
    : new Fault("engine-unreachable", `Cannot read ${target}: ${reason}`, { target });
}

export interface EngineClusterState {
  readonly pods?: readonly Pod[];
  readonly workload?: Partial<Workload>;
  /** By address. */
  readonly pages?: Readonly<Record<string, Page>>;
  /** Behind every URL. */
  readonly endpoints?: readonly EngineEndpoint[];
  /** Why pods are not asked, by their names. */
  readonly refused?: Readonly<Record<string, Fault>>;
}

/** What stands behind a Service at `10.0.0.<number>`. */
export function endpoint(number: number, ready = true): EngineEndpoint {
  return {
    at: { podAddress: `10.0.0.${number}`, namespace: "default", ports: [] },
    port: 8001,
    isOwn: true,
    ready,
  };
}

const unused = () => {
  throw new Error("It has no part in this answer");
};

/** For a test that replaces what it needs. */
export const unusedEngines: EngineReader = {
  read: unused,
  merge: unused,
  endpointsOf: unused,
  mountedFile: unused,
  podRefusal: () => undefined,
  listen: unused,
  onEndpointsChange: unused,
};

/** A process without the Kubernetes API. */
export function answererOf(engines: EngineReader | undefined) {
  const store = { view: unused, subscribe: () => () => undefined };
  return answerer({ store, clock: { monotonicMs: () => nowMs }, engines });
}

/** A process in a cluster that reads engines; the test changes the state and the time. */
export function withEngines(first: EngineClusterState) {
  let state = first;
  let passedMs = 0;
  const reads: { readonly spec: ScrapeTarget; readonly ask: SignalQuery }[] = [];
  const engines: EngineReader = {
    ...unusedEngines,
    read: (spec, ask) => {
      reads.push({ spec, ask });
      const { at } = spec;
      return readingOf(spec, ask, state.pages?.["url" in at ? at.url : at.podAddress]);
    },
    merge: mergedResult,
    endpointsOf: () => state.endpoints ?? [],
    podRefusal: ({ name }) => state.refused?.[name],
    mountedFile: (key, namespace, name) =>
      `/${key === "engineCaFile" ? "authorities" : "tokens"}/${namespace}/${name}`,
  };
  const workloads = { of: () => workload(state) };
  const clock = { monotonicMs: () => nowMs + passedMs };
  const answers = answerer({
    store: { view: unused, subscribe: () => () => undefined },
    clock,
    workloads,
    // The agents' readings have no part in these answers.
    synced: () => false,
    engines,
  });
  return {
    reads,
    answers,
    workloads,
    clock,
    become: (next: EngineClusterState) => {
      state = next;
    },
    pass: (ms: number) => {
      passedMs += ms;
    },
    value: (metadata: Readonly<Record<string, string>>) =>
      answers.value(llm, parseTrigger(metadata)),
    activity: (metadata: Readonly<Record<string, string>>) =>
      answers.activity(llm, parseTrigger(metadata)),
  };
}
