import { expect, test } from "bun:test";
import fc from "fast-check";
import { unlessFault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import type { FleetDevice } from "#fleet/view.ts";
import { type MetricName, metricNames } from "#metric/catalogue.ts";
import { type Absence, readingNames, readingRanges } from "#metric/reading.ts";
import { reducerNames } from "#metric/reduce.ts";
import { replicaReducers } from "#trigger/profiles.ts";
import type { Pod } from "#workload/pod.ts";
import { hpaReplicas } from "../kubernetes/hpa-port.ts";
import { type ClusterState, held, holder, host, inCluster, pod } from "./cluster.ts";
import { gpu, nowMs } from "./fleet.ts";

/** A series must be named besides. */
const plainMetrics = metricNames.filter((name) => name !== "engine_metric");

const percents = fc.double({ min: 0, max: 100, noNaN: true });
const types = fc.constantFrom("AverageValue" as const, "Value" as const);
const targets = fc.integer({ min: 10, max: 90 });
const absences: Absence[] = ["unsupported", "not-permitted", "failed", "implausible", "pending"];
const readyContainers = (ready: boolean) => [{ name: "server", ready, ports: [] }];

/** What the HPA makes of a state's value, by the test's own arithmetic; `undefined`: it holds. */
function desired(state: ClusterState, target: number, metadata = {}, cluster = inCluster(state)) {
  const answer = unlessFault(() => cluster.value({ targetValue: `${target}`, ...metadata }));
  const share = answer?.explanation.workload;
  if (answer === undefined || share === undefined) return undefined;
  const readyPodCount = (state.pods ?? []).filter(
    ({ containers, state }) => state === "counted" && containers.every(({ ready }) => ready),
  ).length;
  const side = {
    metricType: share.metricType,
    specReplicas: share.replicas,
    statusReplicas: share.replicas,
    readyPodCount,
  };
  const replicas = hpaReplicas(answer.value, target, side);
  expect(share.desiredReplicas).toBe(replicas);
  return replicas;
}

/** One pod of a workload: how it is, on which of three nodes, and what its device says. */
const member = fc.record({
  state: fc.constantFrom<("counted" | "warming")[]>("counted", "counted", "counted", "warming"),
  ready: fc.boolean(),
  node: fc.constantFrom("a", "b", "far"),
  percent: percents,
  isHeld: fc.integer({ min: 0, max: 9 }).map((number) => number > 0),
});
type Member = typeof member extends fc.Arbitrary<infer One> ? One : never;
const members = fc.array(member, { minLength: 1, maxLength: 8 });

function stateOf(
  all: readonly Member[],
  metricType: "AverageValue" | "Value",
  extra = 0,
): ClusterState {
  const devices = (name: string) =>
    all.flatMap(({ node, percent, isHeld }, index) =>
      node === name && isHeld ? [held(`p${index}`, percent, { index })] : [],
    );
  const pods = all.map(({ state, ready, node }, index): Pod => {
    const containers = readyContainers(state === "counted" && ready);
    return pod(`p${index}`, { state, node, containers });
  });
  return {
    nodes: [host("a", devices("a")), host("b", devices("b"))],
    pods,
    workload: { metricType, replicas: pods.length + extra },
  };
}

test("partial data never lowers the replicas in its first five minutes, nor ends activity", () => {
  let answered = 0;
  fc.assert(
    fc.property(
      members,
      types,
      targets,
      fc.nat(3),
      fc.option(fc.constantFrom(...replicaReducers), { nil: undefined }),
      fc.array(fc.integer({ min: 1, max: missingGraceMs / 5 }), { maxLength: 5 }),
      (all, metricType, target, extra, replicaAggregation, waitsMs) => {
        const counted = all.filter(({ state }) => state === "counted");
        const isPartial = counted.some(({ node, isHeld }) => node === "far" || !isHeld);
        if (!isPartial) return;
        const state = stateOf(all, metricType, extra);
        const cluster = inCluster(state);
        for (const waitMs of [0, ...waitsMs]) {
          cluster.pass(waitMs);
          const metadata = replicaAggregation === undefined ? {} : { replicaAggregation };
          const replicas = desired(state, target, metadata, cluster);
          if (replicas !== undefined) answered += 1;
          if (replicas !== undefined) expect(replicas).toBeGreaterThanOrEqual(all.length + extra);
          expect(unlessFault(() => cluster.activity().active)).not.toBe(false);
        }
      },
    ),
    { numRuns: 1000 },
  );
  expect(answered).toBeGreaterThan(100);
});

test("replicas above target are never a reason to have fewer", () => {
  fc.assert(
    fc.property(members, types, targets, fc.nat(3), (all, metricType, target, extra) => {
      const busy = all.map((one) => ({
        ...one,
        node: one.node === "far" ? "a" : one.node,
        isHeld: true,
        percent: target + 0.01 + (one.percent / 100) * (99 - target),
      }));
      const state = stateOf(busy, metricType, extra);
      expect(desired(state, target)).toBeGreaterThanOrEqual(all.length + extra);
    }),
  );
});

test("two tenants of one node never change each other's number, whatever the other does", () => {
  const tenant = fc.array(percents, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      tenant,
      tenant,
      tenant,
      fc.constantFrom(...reducerNames),
      types,
      (own, others, otherwise, aggregation, metricType) => {
        const ask = (loads: readonly number[], isLost: boolean) => {
          const foreign = loads.map((utilizationPercent, index) =>
            gpu({
              uuid: `GPU-other-${index}`,
              index: own.length + index,
              readings: { utilizationPercent },
              holders: [holder(`p${index}`, { namespace: "other" })],
              ...(isLost && { health: { state: "lost", reason: "gone" }, unwellSinceMs: nowMs }),
            }),
          );
          const mine = own.map((percent, index) => held(`p${index}`, percent, { index }));
          const pods = own.map((_, index) => pod(`p${index}`));
          const state = { nodes: [host("a", [...foreign, ...mine])], pods };
          const cluster = inCluster({ ...state, workload: { metricType } });
          return [cluster.value({ aggregation }), cluster.activity({ aggregation })];
        };
        expect(ask(otherwise, true)).toEqual(ask(others, false));
      },
    ),
  );
});

test("sums are additive over nodes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 4 }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.constantFrom(...reducerNames),
      (loads, aggregation) => {
        const onNode = (
          nodeLoads: readonly number[],
          at: number,
        ): Required<Pick<ClusterState, "nodes" | "pods">> => ({
          nodes: [
            host(
              `n${at}`,
              nodeLoads.map((load, index) => held(`p${at}-${index}`, load)),
            ),
          ],
          pods: nodeLoads.map((_, index) => pod(`p${at}-${index}`, { node: `n${at}` })),
        });
        const states = loads.map(onNode);
        const whole = {
          nodes: states.flatMap(({ nodes }) => nodes),
          pods: states.flatMap(({ pods }) => pods),
        };
        const value = (state: ClusterState) => inCluster(state).value({ aggregation }).value;
        const parts = states.map(value);
        expect(value(whole)).toBe(parts.reduce((sum, part) => sum + part, 0));
      },
    ),
  );
});

test("from any number of replicas both formulas end where utilization is at the target", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 20, max: 2_000 }),
      targets,
      types,
      (start, load, target, metricType) => {
        let replicas = start;
        const step = () => {
          // A device is busy at most all the time: what is above that waits.
          const percent = Math.min(100, load / replicas);
          const all = Array.from({ length: replicas }, (): Member => {
            return { state: "counted", ready: true, node: "a", percent, isHeld: true };
          });
          return Math.max(1, desired(stateOf(all, metricType), target) ?? Number.NaN);
        };
        let rounds = 0;
        for (let next = step(); next !== replicas && rounds < 200; next = step()) {
          replicas = next;
          rounds += 1;
        }
        expect(rounds).toBeLessThan(200);
        const least = load / (target * 1.1);
        const most = Math.max(Math.ceil(load / target), load / (target * 0.9));
        // KEDA cuts the value off after three digits, which may cost a hair.
        expect(replicas).toBeGreaterThanOrEqual(least - 0.01);
        expect(replicas).toBeLessThanOrEqual(most + 0.01);
      },
    ),
    { numRuns: 60 },
  );
});

const health: fc.Arbitrary<Partial<FleetDevice>> = fc.constantFrom(
  {},
  {},
  {},
  { health: { state: "lost" as const, reason: "gone" }, unwellSinceMs: nowMs - 1 },
  { health: { state: "failing" as const, reason: "errors" }, unwellSinceMs: 0 },
);
const anyDevice = fc
  .record({
    owner: fc.constantFrom("p0", "p1", "p2", "stranger"),
    sharedBy: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    absence: fc.option(fc.constantFrom(...absences), { nil: undefined }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    health,
  })
  .map((made) => ({ ...made, node: "a" }));
const anyNode = fc.record({
  devices: fc.array(anyDevice, { maxLength: 6 }),
  sampledAgoMs: fc.constantFrom(0, 0, 0, 6_000, 10 * missingGraceMs),
  holdersAgoMs: fc.constantFrom(0, 0, 0, 61_000),
});

test("whatever there is, a value is finite and not negative, and all else is a fault", () => {
  let answered = 0;
  const names = ["a", "b"];
  fc.assert(
    fc.property(
      fc.array(anyNode, { maxLength: 2 }),
      fc.array(member, { maxLength: 3 }),
      fc.record({
        metricType: fc.constantFrom<MetricName>(...plainMetrics),
        targetValue: fc.constant("80"),
        aggregation: fc.constantFrom(...reducerNames),
        activationThreshold: fc.constantFrom("0", "50"),
        gpuIndex: fc.constantFrom("-1", "-1", "-1", "0"),
        windowSeconds: fc.constantFrom("0", "60"),
        scope: fc.constantFrom("workload", "workload", "cluster"),
      }),
      types,
      (hosts, all, metadata, metricType) => {
        const nodes = hosts.map(({ devices, sampledAgoMs, holdersAgoMs }, at) => {
          const made = devices.map(
            ({ owner, sharedBy, absence, share, health: changes }, index) => {
              const present = absence === undefined ? [...readingNames] : [];
              const readings = Object.fromEntries(
                present.map((name) => {
                  const { least, most } = readingRanges[name];
                  return [name, least + (most - least) * share];
                }),
              );
              const gone =
                absence && Object.fromEntries(readingNames.map((name) => [name, absence]));
              const sharing = sharedBy === undefined ? {} : { sharedBy };
              const holders = [holder(owner, sharing)];
              return gpu({
                index,
                uuid: `GPU-${at}-${index}`,
                readings,
                absences: gone ?? {},
                holders,
                ...changes,
              });
            },
          );
          return host(names[at] ?? "", made, {
            sampledAtMs: nowMs - sampledAgoMs,
            holdersAtMs: nowMs - holdersAgoMs,
          });
        });
        const { pods = [], workload = {} } = stateOf(all, metricType);
        const cluster = inCluster({ nodes, pods, workload });
        cluster.pass(1);
        const answer = unlessFault(() => cluster.value(metadata));
        const activity = unlessFault(() => cluster.activity(metadata));
        if (activity !== undefined) expect(activity.active).toBeBoolean();
        if (answer === undefined) return;
        answered += 1;
        expect(answer.value).toBeFinite();
        expect(answer.value).toBeGreaterThanOrEqual(0);
        const { devices, workload: share } = answer.explanation;
        for (const { value, reason } of devices)
          expect(reason === undefined).toBe(value !== undefined);
        for (const { state, value, reason } of share?.pods ?? []) {
          expect(value !== undefined).toBe(state === "counted");
          expect(reason !== undefined).toBe(state === "missing");
        }
      },
    ),
    { numRuns: 1000 },
  );
  expect(answered).toBeGreaterThan(50);
});
