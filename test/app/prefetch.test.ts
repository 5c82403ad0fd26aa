import { expect, test } from "bun:test";
import type { WorkloadRef } from "#answer/answer.ts";
import { enginePrefetch } from "#app/prefetch.ts";
import { Fault } from "#core/fault.ts";
import {
  askedForMs,
  engineIntervalMs,
  enginesFirstMs,
  engineTriggersBytesMax,
} from "#core/limits.ts";
import { type ScrapeTarget, targetText } from "#engine/scrape/target.ts";
import { builtInProfiles } from "#trigger/profiles.ts";
import { triggerParser } from "#trigger/trigger.ts";
import type { ServedTrigger } from "#workload/watch-workloads.ts";
import { workload } from "../answer/cluster.ts";
import { serving } from "../answer/engines.ts";
import { manualClock } from "../support/manual-clock.ts";

const ours = { scalerAddress: "here", metricType: "queue_depth", targetValue: "5" };
const served = (name: string, metadata: ServedTrigger["metadata"] = ours): ServedTrigger => ({
  namespace: "ml",
  name,
  metadata,
});
const ref = (name: string, scalerMetadata = ours): WorkloadRef => ({
  namespace: "ml",
  name,
  scalerMetadata,
});

/** Workloads of one pod each, whose number is the name's last letter. */
function started(first: readonly ServedTrigger[]) {
  let triggers = first;
  let forgotten: string | undefined;
  let waitingFor: readonly string[] = [];
  let targets: readonly { tries: number }[] = [];
  let reads: { readonly spec: ScrapeTarget; readonly signal: unknown }[] = [];
  const logged: string[] = [];
  const clock = manualClock();
  const parse = triggerParser(() => builtInProfiles);
  let changes = 0;
  const prefetch = enginePrefetch({
    clock,
    log: (level, event) => logged.push(`${level} ${event}`),
    parse,
    workloads: {
      servedTriggers: () => triggers,
      admit: (namespace, name) => {
        if (name === forgotten)
          throw new Fault("trigger-unmatched", "Cannot answer: changed", { namespace, name });
        return { kind: "ScaledObject", namespace, name };
      },
      peek: {
        of: (_namespace, name) => {
          if (name === "gone")
            throw new Fault("workload-unknown", "Cannot look up: gone", { namespace: "ml", name });
          return workload({
            pods: [serving(Number(name.at(-1))), serving(9, { state: "warming" })],
          });
        },
      },
      waitingFor: () => waitingFor,
    },
    engines: {
      read: (spec, { signal }) => {
        reads.push({ spec, signal });
        return { target: "", state: "known", value: 0 };
      },
      endpointsOf: (url, namespace) => [{ at: { url, namespace }, isOwn: true, ready: true }],
      podRefusal: () => undefined,
      mountedFile: () => "",
    },
    targets: () => targets.map((target) => ({ ...target, target: "", failures: 0 })),
    onChange: () => {
      changes += 1;
    },
  });
  return {
    ...prefetch,
    clock,
    parse,
    logged,
    changes: () => changes,
    become: (next: readonly ServedTrigger[]) => {
      triggers = next;
    },
    forget: (name: string) => {
      forgotten = name;
    },
    wait: (next: readonly string[]) => {
      waitingFor = next;
    },
    target: (...tries: readonly number[]) => {
      targets = tries.map((count) => ({ tries: count }));
    },
    reads: () => reads.length,
    /** What was read since the last call. */
    taken: () => {
      const all = reads;
      reads = [];
      return [...new Set(all.map(({ spec, signal }) => `${targetText(spec)} ${signal}`))];
    },
  };
}

test("every served trigger is read at each interval, whether anybody asks or not", () => {
  const { clock, taken } = started([served("llm-1"), served("llm-2")]);
  const all = ["1", "2"].flatMap((one) =>
    ["queue_depth", "activity"].map((signal) => `http://10.0.0.${one} ${signal}`),
  );
  clock.advance(1_000);
  expect(taken()).toEqual(all);
  clock.advance(engineIntervalMs - 1_000);
  expect(taken()).toEqual([]);
  clock.advance(1_000);
  expect(taken()).toEqual(all);
});

test("what changes is read within a second, and what is gone is read no more", () => {
  const { clock, taken, refresh, become } = started([served("llm-1")]);
  clock.advance(1_000);
  taken();
  become([served("llm-2")]);
  clock.advance(1_000);
  expect(taken()).toEqual([]);
  refresh();
  clock.advance(1_000);
  expect(taken()).toEqual(["http://10.0.0.2 queue_depth", "http://10.0.0.2 activity"]);
  clock.advance(1_000);
  expect(taken()).toEqual([]);
});

test("the URL of an endpoint is read, and the pods are not", () => {
  const endpoint = "http://router/metrics";
  const { clock, taken } = started([served("llm-1", { ...ours, endpoint })]);
  clock.advance(1_000);
  expect(taken()).toEqual([`${endpoint} queue_depth`, `${endpoint} activity`]);
});

test("triggers of devices, with what KEDA resolves, or that break a rule are left out", () => {
  const { clock, taken, logged } = started([
    served("llm-1", { scalerAddress: "here" }),
    served("llm-2", { ...ours, endpointFromEnv: "ROUTER" }),
    served("llm-3", { ...ours, targetValue: "much" }),
    served("gone"),
    served("llm-4"),
  ]);
  clock.advance(1_000);
  expect(taken()).toEqual(["http://10.0.0.4 queue_depth", "http://10.0.0.4 activity"]);
  expect(logged).toEqual(["debug engines cannot be read"]);
});

test("what somebody asked for is read no more when its object has no such trigger any more", () => {
  const { clock, taken, requested, parse, forget } = started([]);
  const metadata = { ...ours, endpoint: "http://router/metrics" };
  requested(ref("llm-1", metadata), parse(metadata));
  clock.advance(engineIntervalMs);
  expect(taken()).toEqual(["http://router/metrics queue_depth", "http://router/metrics activity"]);
  forget("llm-1");
  clock.advance(engineIntervalMs);
  expect(taken()).toEqual([]);
});

test("what somebody asked for is read for ten minutes after", () => {
  const { clock, taken, requested, parse } = started([]);
  requested(ref("llm-1"), parse(ours));
  requested(ref("llm-2"), parse({}));
  clock.advance(askedForMs);
  expect(taken()).toEqual(["http://10.0.0.1 queue_depth", "http://10.0.0.1 activity"]);
  clock.advance(2 * engineIntervalMs);
  taken();
  clock.advance(2 * engineIntervalMs);
  expect(taken()).toEqual([]);
});

test("of long triggers that somebody asked for only the newest are read", () => {
  const { clock, taken, requested, parse } = started([]);
  const endpoint = `http://gateway/${"x".repeat(4_000)}`;
  const bytes = 4_000;
  for (let nth = 0; nth * bytes <= engineTriggersBytesMax; nth += 1) {
    const metadata = { ...ours, endpoint: `${endpoint}${nth}` };
    requested(ref("llm-1", metadata), parse(metadata));
  }
  clock.advance(1_000);
  const read = taken().filter((text) => text.endsWith("queue_depth"));
  expect(read.length).toBeLessThan(engineTriggersBytesMax / bytes);
  expect(read.length).toBeGreaterThan(0.9 * (engineTriggersBytesMax / bytes));
  expect(read).not.toContain(`${endpoint}0 queue_depth`);
});

test("a process that has just started waits until every engine was tried, but not for ever", () => {
  const first = started([served("llm-1")]);
  first.wait(["pods of ml"]);
  expect(first.waitingFor()).toBeUndefined();
  first.target(0, 0);
  first.wait([]);
  expect(first.waitingFor()).toBe("2 engines have not been read yet");
  first.target(1, 0);
  expect(first.waitingFor()).toBe("1 engine has not been read yet");
  first.target(1, 1);
  first.clock.advance(1_000);
  expect(first.changes()).toBe(1);
  expect(first.waitingFor()).toBeUndefined();
  first.target(0);
  expect(first.waitingFor()).toBeUndefined();

  const second = started([served("llm-1")]);
  second.target(0);
  expect(second.waitingFor()).toBeDefined();
  second.clock.advance(enginesFirstMs);
  expect(second.waitingFor()).toBeUndefined();
});

test("the first reads begin when the workloads are known, whoever finds that out", () => {
  const { wait, target, waitingFor, taken, clock, changes } = started([served("llm-1")]);
  wait(["pods of ml"]);
  target(0);
  waitingFor();
  expect(taken()).toEqual([]);
  wait([]);
  waitingFor();
  expect(taken()).toHaveLength(2);
  waitingFor();
  expect(taken()).toEqual([]);
  target(1);
  expect(waitingFor()).toBeUndefined();
  expect(changes()).toBe(0);
  clock.advance(1_000);
  expect(changes()).toBe(1);
  clock.advance(1_000);
  expect(changes()).toBe(1);
});

test("after a stop nothing is read", () => {
  const { clock, taken, stop } = started([served("llm-1")]);
  stop();
  clock.advance(engineIntervalMs);
  expect(taken()).toEqual([]);
});

test("a served trigger is read once, though somebody asks for it too", () => {
  const { clock, reads, requested, parse } = started([served("llm-1")]);
  requested(ref("llm-1"), parse(ours));
  clock.advance(1_000);
  expect(reads()).toBe(2);
});
