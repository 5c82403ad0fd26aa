import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  counterWindowMs,
  engineIntervalMs,
  missingGraceMs,
  scalerSyncMs,
  triggerRoundMs,
} from "#core/limits.ts";
import { isServing } from "#simulate/replica.ts";
import type { Comparison, Run, TimelineRow } from "#simulate/run.ts";
import type { Incident, Load, Scenario } from "#simulate/scenario.ts";
import { simulate, simulationLoop } from "#simulate/simulate.ts";
import {
  restingCounts,
  rowsBetween,
  type Shape,
  shape,
  told,
  unjustified,
  workload,
} from "./workloads.ts";

/** How many times as many runs as in CI. */
const effort = Number(process.env["SIMULATE_EFFORT"] ?? 1);
const runs = (count: number) => ({
  numRuns: Math.ceil(count * effort),
  includeErrorInReport: true,
});
const timeoutMs = 300_000 * Math.max(1, effort);

/**
 * The last moment at which a replica became ready or ended, or requests waited. What a replica still
 * works on while it ends is not counted, so that a decision just then is about less.
 */
function settledMs({ timeline }: Run): number {
  let lastMs = 0;
  let ready = 0;
  for (const row of timeline) {
    const isBusy = row.queued + row.waiting + row.drainingReplicas > 0;
    if (row.readyReplicas > ready || isBusy) lastMs = row.atMs;
    ready = row.readyReplicas;
  }
  return lastMs;
}

/** By then what waited at the start is done with. */
const restsMs = 2_400_000;

/** Whether the count was changed within the last three decisions. */
function isMoving({ events }: Run, nowMs: number): boolean {
  return events.some(({ atMs }) => atMs < nowMs && nowMs - atMs <= 3 * 15_000);
}

test(
  "under constant load the count is what it needs by the third decision, and stays",
  () => {
    fc.assert(
      fc.property(shape, (one) => {
        const made = workload(one, { seconds: 3600 });
        const run = simulate(made.scenario, one.seed);
        const { least, most } = restingCounts(made);
        const settled = Math.min(settledMs(run), restsMs);
        const later = run.decisions.filter(({ atMs }) => atMs > settled).slice(3);
        for (const { recommended = -1, atMs } of later.filter(({ atMs }) => !isMoving(run, atMs))) {
          expect(recommended, told(run, `at ${atMs}`)).toBeGreaterThanOrEqual(least);
          expect(recommended, told(run, `at ${atMs}`)).toBeLessThanOrEqual(most);
        }
        // Within one request of a border both counts are right, and it may go over once.
        const moves = run.events.filter(({ atMs }) => atMs > restsMs);
        const directions = new Set(moves.map(({ from, to }) => Math.sign(to - from)));
        expect(directions.size, told(run, "it does not rest")).toBeLessThanOrEqual(1);
        for (const { to } of moves) {
          expect(to, told(run, "it rests at fewer")).toBeGreaterThanOrEqual(least);
          expect(to, told(run, "it rests at more")).toBeLessThanOrEqual(most);
        }
      }),
      runs(60),
    );
  },
  timeoutMs,
);

/** Loads that ask for more and for less than the need, in all the ways there are. */
const loads = fc.constantFrom<((perSecond: number) => Load)[]>(
  (perSecond) => ({ rate: { kind: "constant", perSecond } }),
  (perSecond) => ({
    rate: {
      kind: "steps",
      steps: [0.5, 1.3, 0.2, 1].map((share, index) => ({
        atSecond: index * 500,
        perSecond: share * perSecond,
      })),
    },
  }),
  (perSecond) => ({
    rate: {
      kind: "sine",
      meanPerSecond: 0.7 * perSecond,
      amplitudePerSecond: 0.7 * perSecond,
      periodSeconds: 900,
    },
  }),
  (perSecond) => ({
    rate: {
      kind: "bursts",
      perSecond: 0.2 * perSecond,
      burstPerSecond: 1.5 * perSecond,
      everySeconds: 400,
      burstSeconds: 60,
    },
  }),
  (perSecond) => ({
    rate: {
      kind: "ramps",
      points: [
        { atSecond: 0, perSecond: 0.1 * perSecond },
        { atSecond: 900, perSecond: 1.2 * perSecond },
        { atSecond: 1500, perSecond: 0 },
      ],
    },
  }),
);

const atSecond = fc.integer({ min: 60, max: 1500 });
/** What may go wrong once in a run. */
const incident: fc.Arbitrary<readonly Incident[]> = fc.oneof(
  fc.constant([]),
  fc.record({ kind: fc.constant("crash" as const), replica: fc.nat(15), atSecond }).map(only),
  fc.record({ kind: fc.constant("silent-node" as const), node: fc.nat(7), atSecond }).map(only),
  fc
    .record({ kind: fc.constant("silent-node" as const), node: fc.nat(7), atSecond })
    .map((silence) => [{ ...silence, untilSecond: silence.atSecond + 60 }]),
  fc
    .record({ kind: fc.constant("unreachable-engine" as const), replica: fc.nat(15), atSecond })
    .map(only),
  fc
    .record({ kind: fc.constant("scaler-restart" as const), scaler: fc.constant(0), atSecond })
    .map(only),
  fc
    .record({ kind: fc.constant("misfit-engine" as const), replica: fc.nat(15), atSecond })
    .map(only),
  fc.record({ kind: fc.constant("rollout" as const), atSecond }).map(only),
);
function only(one: Incident): readonly Incident[] {
  return [one];
}

test(
  "whatever happens, nothing is added that the load does not ask for",
  () => {
    fc.assert(
      fc.property(
        shape,
        loads,
        incident,
        fc.constantFrom(1, 1, 3),
        (one, load, incidents, podsPerGpu) => {
          const made = workload(one, { seconds: 2000, load, incidents, podsPerGpu });
          const run = simulate(made.scenario, one.seed);
          expect(unjustified(made, run), told(run, "unjustified")).toBeUndefined();
        },
      ),
      runs(100),
    );
  },
  timeoutMs,
);

/** How long a device's or an engine's last word is served. */
const servedMs = 45_000;
const struckSecond = 900;

/** A node that has a replica when it is struck: the same seed gives the same run up to there. */
function nodeInUse(scenario: Scenario, seed: number): number {
  const { simulation, advance } = simulationLoop(scenario, seed);
  for (let second = 1; second < struckSecond; second += 1) advance();
  const [node = 0] = simulation.pods.all().find(isServing)?.nodes ?? [];
  return node;
}

test(
  "nothing is removed while data is missing, for five minutes and no longer",
  () => {
    fc.assert(
      fc.property(shape, (any) => {
        const one = { ...any, need: 4 + any.need / 2, firstReplicas: 8 };
        const ofDevices = one.metric === "gpu_utilization";
        const struck = { atSecond: struckSecond };
        const load = (perSecond: number): Load => ({
          rate: {
            kind: "steps",
            steps: [
              { atSecond: 0, perSecond },
              { atSecond: struckSecond + 50, perSecond: perSecond / 20 },
            ],
          },
        });
        const seconds = 3_600;
        const { scenario: calm } = workload(one, { seconds, load });
        const incidents: Incident[] = ofDevices
          ? [{ kind: "silent-node", node: nodeInUse(calm, one.seed), ...struck }]
          : [{ kind: "unreachable-engine", replica: 0, ...struck }];
        const made = workload(one, { seconds, load, incidents });
        const run = simulate(made.scenario, one.seed);
        const missingMs = struckSecond * 1000;
        // While its last word is served, what is struck may go as well as any other; then nothing is missing.
        fc.pre(
          !run.events.some(
            ({ atMs, from, to }) => to < from && atMs >= missingMs && atMs <= missingMs + servedMs,
          ),
        );
        for (const { atMs, from, to } of run.events)
          if (atMs > missingMs + servedMs && atMs <= missingMs + missingGraceMs)
            expect(to, told(run, `removed at ${atMs}`)).toBeGreaterThanOrEqual(from);
        const [last] = run.timeline.slice(-1);
        // The missing one as the target, what is left of the load, and one for the tolerance.
        expect(last?.specReplicas, told(run, "kept too many")).toBeLessThanOrEqual(3);
      }),
      runs(40),
    );
  },
  timeoutMs,
);

/** How old a scrape or a sample may be when it is answered with. */
const staleMs = 10_000;
/** Work, then none, as shares of the need from each second on. */
const phases = [
  { atSecond: 0, share: 1 },
  { atSecond: 600, share: 0 },
  { atSecond: 1500, share: 0.6 },
  { atSecond: 1900, share: 0 },
];
/** Pods that become ready one after the other, each in minutes, work long on what has waited. */
const onAndOffMs = 4_000_000;
const endpoint = {
  type: "external-push",
  metadata: {
    scalerAddress: "scaler:6000",
    profile: "gateway-flow-control",
    endpoint: "http://gateway.ml:9090/metrics",
    engineLabels: 'inference_pool="llm"',
  },
} as const;

/** Whether there were requests at every second of a time. */
function isBusy(run: Run, fromMs: number, toMs: number): boolean {
  return rowsBetween(run, fromMs, toMs).every(
    ({ running, queued, waiting }) => running + queued + waiting > 0,
  );
}

interface OnAndOff {
  readonly cooldownPeriod: number;
  readonly pollingInterval: number;
  /** Whether something in front sees what waits while there is no replica. */
  readonly wakes: boolean;
}

/** A workload that may go to zero, under work that comes and goes. */
function onAndOff(one: Shape, { wakes, ...periods }: OnAndOff): Scenario {
  const load = (perSecond: number): Load => {
    const steps = phases.map(({ atSecond: from, share }) => ({
      atSecond: from,
      perSecond: share * perSecond,
    }));
    return { rate: { kind: "steps", steps } };
  };
  const incidents: Incident[] = [{ kind: "rollout", atSecond: 300 }];
  const seconds = onAndOffMs / 1000;
  const { scenario } = workload(one, { seconds, load, incidents, minReplicaCount: 0 });
  const { scaledObject } = scenario;
  const triggers = wakes ? [...scaledObject.triggers, endpoint] : scaledObject.triggers;
  return { ...scenario, scaledObject: { ...scaledObject, ...periods, triggers } };
}

/** The polls at which it was busy for long enough to be known to be, with replicas or a front end. */
function busyPolls(run: Run, { wakes }: OnAndOff) {
  return run.polls.filter(({ atMs }) => {
    const [before] = rowsBetween(run, atMs - 1000, atMs - 1000);
    // What waits in front is seen by a front end alone: a replica that has just come is idle.
    const isServing = rowsBetween(run, atMs - staleMs, atMs).every(
      ({ running, queued }) => running + queued > 0,
    );
    if (!wakes) return isServing && before?.specReplicas !== 0;
    return isBusy(run, atMs - staleMs, atMs);
  });
}

test(
  "what serves is never inactive, and what is idle is at zero after one cooldown",
  () => {
    const periods = fc.record({
      cooldownPeriod: fc.integer({ min: 30, max: 300 }),
      pollingInterval: fc.constantFrom(5, 15, 30),
      wakes: fc.boolean(),
    });
    fc.assert(
      fc.property(shape, periods, (one, times) => {
        const run = simulate(onAndOff(one, times), one.seed);
        for (const { atMs, answers } of busyPolls(run, times)) {
          const isInactive = answers.every((answer) => "isActive" in answer && !answer.isActive);
          expect(isInactive, told(run, `inactive at ${atMs}`)).toBe(false);
        }
        for (const { atMs } of run.events.filter(({ to }) => to === 0))
          expect(isBusy(run, atMs - staleMs, atMs), told(run, "busy at zero")).toBe(false);

        const hasWork = (row: TimelineRow) => row.running + row.queued + row.waiting > 0;
        const lastBusy = run.timeline.findLast(hasWork);
        // What nobody sees waits for ever.
        if (lastBusy === undefined || lastBusy.atMs === onAndOffMs)
          return expect(times.wakes).toBe(false);
        // What arrived counts as use for as long as its rate is above 0.
        const usedMs = staleMs + counterWindowMs;
        const afterMs = usedMs + (times.cooldownPeriod + 2 * times.pollingInterval) * 1000;
        const idle = rowsBetween(run, lastBusy.atMs + afterMs, onAndOffMs);
        expect(idle.length).toBeGreaterThan(100);
        for (const { specReplicas } of idle)
          expect(specReplicas, told(run, `idle since ${lastBusy.atMs}`)).toBe(0);
      }),
      runs(50),
    );
  },
  timeoutMs,
);

/** What a new process has not seen of a window, of arrivals and of the first scrapes. */
function warmsUpMs(windowSeconds: number): number {
  return scalerSyncMs + Math.max(1000 * windowSeconds, counterWindowMs) + 2 * engineIntervalMs;
}

/** How many replicas have become ready, or may have in the place of one that ends. */
function arrivals(run: Run, fromMs: number, toMs: number): number {
  const rows = rowsBetween(run, fromMs, toMs);
  const changes = rows.slice(1).map((row, index) => {
    const { readyReplicas = 0, drainingReplicas = 0 } = rows[index] ?? {};
    const more = Math.max(0, row.readyReplicas - readyReplicas);
    return more + Math.abs(row.drainingReplicas - drainingReplicas);
  });
  return changes.reduce((sum, count) => sum + count, 0);
}

/**
 * By how much means of devices may differ. Each scaler begins the window of a device when it first
 * looks at its pod, within `triggerRoundMs`: one sample of a replica that has just come stands beside
 * a few, so that up to its whole utilization lies between them. It cannot begin with the pod, for that
 * would count the time in which it loads. Later only the far end differs: a window's oldest slices
 * are joined by when it began.
 */
function meansDiffer(run: Run, { atMs, before }: Comparison, windowSeconds: number): number {
  const came = arrivals(run, atMs - windowSeconds * 1000 - triggerRoundMs, atMs);
  return came * 100 + ("error" in before ? 0 : 0.01 * before.value);
}

test(
  "two replicas of the scaler that are both warm answer alike",
  () => {
    fc.assert(
      fc.property(
        shape,
        loads,
        fc.constantFrom(0, 30, 120),
        fc.array(fc.integer({ min: 700, max: 1900 }), { minLength: 1, maxLength: 3 }),
        incident,
        (one, load, windowSeconds, switches, others) => {
          const incidents: Incident[] = [
            ...others,
            ...switches
              .toSorted((first, second) => first - second)
              .map((second, index): Incident => {
                return { kind: "scaler-switch", scaler: (index + 1) % 2, atSecond: second };
              }),
          ];
          const made = workload(one, { seconds: 2000, load, incidents });
          const [trigger] = made.scenario.scaledObject.triggers;
          const metadata = { ...trigger?.metadata, windowSeconds: `${windowSeconds}` };
          const triggers = [{ ...trigger, metadata }];
          const scaledObject = { ...made.scenario.scaledObject, triggers };
          const run = simulate({ ...made.scenario, scaledObject, scalers: 2 }, one.seed);
          expect(run.comparisons.length).toBe(switches.length);
          const coldMs = others.flatMap((other) =>
            other.kind === "scaler-restart" ? [other.atSecond * 1000] : [],
          );
          const coldUntilMs = Math.max(
            ...coldMs.map((fromMs) => fromMs + warmsUpMs(windowSeconds)),
          );
          const areMeans = windowSeconds > 0 && one.metric === "gpu_utilization";
          for (const comparison of run.comparisons) {
            const { atMs, before, after } = comparison;
            if (coldMs.some((fromMs) => atMs >= fromMs && atMs <= coldUntilMs)) continue;
            const what = told(run, `unlike at ${atMs}`);
            if (!areMeans || "error" in before || "error" in after)
              expect(after, what).toEqual(before);
            else {
              expect(after.isActive, what).toBe(before.isActive);
              const differ = Math.abs(after.value - before.value);
              expect(differ, what).toBeLessThanOrEqual(meansDiffer(run, comparison, windowSeconds));
            }
          }
        },
      ),
      runs(40),
    );
  },
  timeoutMs,
);
