/**
 * The closed loop in fake time: everything between a request and a replica, around the real answers.
 *
 * A second is a tick. Requests come, start and end in between, in the order of their own times; the
 * rest happens on the tick: incidents, pods, controllers, scrapes, KEDA, the HPA.
 *
 * @module
 */
import {
  deletionCostCheckMs,
  engineIntervalMs,
  simulatedHpaPhaseMs,
  simulatedPushMs,
  simulatedRetryMs,
  simulatedTickMs,
  triggerRoundMs,
} from "#core/limits.ts";
import { cluster } from "./cluster.ts";
import type { Controller } from "./controller.ts";
import { deployment } from "./deployment.ts";
import { type Hpa, hpa } from "./hpa.ts";
import { type Incidents, incidents } from "./incidents.ts";
import { type Keda, keda, type ScalerClient, type ScaleSubresource } from "./keda.ts";
import { arrivals } from "./load.ts";
import { type Pods, pods } from "./pods.ts";
import { type ExplainedAnswer, type Product, product, type Scaler } from "./product/product.ts";
import { randomStream } from "./random.ts";
import { isServing } from "./replica.ts";
import { type Recorder, type Records, type Run, recorder } from "./run.ts";
import { type CompleteScenario, completed, type Incident, type Scenario } from "./scenario.ts";
import type { Simulation } from "./simulation.ts";
import { statefulSet } from "./stateful-set.ts";
import { traffic } from "./traffic.ts";

/** `--horizontal-pod-autoscaler-sync-period`. */
const hpaSyncMs = 15_000;
const pollingDefaultSeconds = 30;

/**
 * Plays a scenario to its end.
 *
 * @param seed The same one gives the same run.
 * @param scalersOf What answers KEDA; another than this scaler, to compare with it.
 * @throws {Fault} `trigger-invalid` for trigger metadata that breaks a rule.
 */
export function simulate(
  scenario: Scenario,
  seed: number,
  scalersOf: (simulation: Simulation) => Product = product,
): Run {
  const loop = simulationLoop(scenario, seed, scalersOf);
  for (let second = 1; second <= scenario.seconds; second += 1) loop.advance();
  return loop.run();
}

/** A scenario that is played as far as somebody wants to see. */
export interface SimulationLoop {
  readonly simulation: Simulation;
  /** What is written down on the way; the lists grow. */
  readonly records: Records;
  /** Plays the next second. */
  readonly advance: () => void;
  /** What came of it up to now. */
  readonly run: () => Run;
}

/** As `simulate`, a second at a time. */
export function simulationLoop(
  scenario: Scenario,
  seed: number,
  scalersOf: (simulation: Simulation) => Product = product,
): SimulationLoop {
  const state = begin(completed(scenario), seed, scalersOf);
  const { simulation, recorder: record } = state;
  return {
    simulation,
    records: record.records,
    advance: () => tick(state, simulation.nowMs() + simulatedTickMs),
    run: record.run,
  };
}

/** Everything that moves, and when it last did. */
interface LoopState {
  readonly scenario: CompleteScenario;
  readonly simulation: Simulation;
  readonly clock: { nowMs: number };
  readonly scale: { spec: number };
  readonly incidents: Incidents;
  readonly pods: Pods;
  readonly controller: Controller;
  readonly product: Product;
  readonly scalers: readonly Scaler[];
  readonly asked: { scaler: number };
  readonly keda: Keda;
  readonly hpa: Hpa;
  readonly recorder: Recorder;
  /** Of the answers to the calls of this tick. */
  readonly answers: Map<number, ExplainedAnswer>;
  readonly controlled: { generation: number; spec: number; atMs: number };
}

function begin(
  scenario: CompleteScenario,
  seed: number,
  scalersOf: (simulation: Simulation) => Product,
): LoopState {
  const clock = { nowMs: 0 };
  const scale = { spec: scenario.target.replicas };
  const happening = incidents(scenario.incidents);
  const devices = cluster(scenario.cluster, scenario.replica);
  const requests = traffic({
    arrivals: arrivals(scenario.load, seed, scenario.seconds * 1000),
    model: scenario.replica,
    speedOf: devices.speedOf,
    chance: scenario.routing === "random" ? randomStream(seed, "routing").next : undefined,
  });
  const ownPods = pods({ scenario, cluster: devices, traffic: requests });
  const simulation: Simulation = {
    scenario,
    nowMs: () => clock.nowMs,
    cluster: devices,
    pods: ownPods,
    traffic: requests,
    specReplicas: () => scale.spec,
    silentSinceMs: (node) => happening.silentSinceMs(node, clock.nowMs),
    isUnreachable: (replica) => happening.isUnreachable(replica, clock.nowMs),
    isMisfit: (replica) => happening.isMisfit(replica, clock.nowMs),
  };
  const made = scalersOf(simulation);
  const scalers = Array.from({ length: scenario.scalers }, made.scaler);
  const asked = { scaler: 0 };
  const answers = new Map<number, ExplainedAnswer>();
  const record = recorder(simulation);
  const { scaledObject } = scenario;
  const client: ScalerClient = {
    metrics: () => (happening.isScalerDown(clock.nowMs) ? undefined : made.metrics),
    ask: (trigger) => {
      const answer = scalers[asked.scaler]?.ask(trigger) ?? { error: "no such scaler" };
      answers.set(trigger, answer);
      return answer;
    },
    pushed: (trigger) =>
      happening.isScalerDown(clock.nowMs) ? undefined : scalers[asked.scaler]?.isActive(trigger),
  };
  const subresource: ScaleSubresource = {
    specReplicas: () => scale.spec,
    readyReplicas: () => readyCount(ownPods),
    scaleTo: (to, by) => setSpec(scale, to, by, record, clock.nowMs),
  };
  return {
    scenario,
    simulation,
    clock,
    scale,
    incidents: happening,
    pods: ownPods,
    controller: (scenario.target.kind === "Deployment" ? deployment : statefulSet)(
      scenario.target,
      ownPods,
    ),
    product: made,
    scalers,
    asked,
    keda: keda({ scaledObject, client, scale: subresource, createdAtMs: 0 }),
    hpa: hpaOf(scaledObject, made),
    recorder: record,
    answers,
    controlled: { generation: -1, spec: scale.spec, atMs: 0 },
  };
}

/** The HPA that KEDA creates for a ScaledObject. */
function hpaOf(
  { minReplicaCount = 0, maxReplicaCount = 100, behavior }: CompleteScenario["scaledObject"],
  { metrics }: Product,
): Hpa {
  const minReplicas = Math.max(1, minReplicaCount);
  return hpa({ minReplicas, maxReplicas: maxReplicaCount, metrics, behavior });
}

function tick(loop: LoopState, nowMs: number): void {
  const { scenario, simulation, clock } = loop;
  simulation.traffic.advance(nowMs);
  clock.nowMs = nowMs;
  for (const replica of loop.pods.all()) replica.busyShare = replica.engine.takeBusyShare(nowMs);
  for (const incident of loop.incidents.take(nowMs)) happen(loop, incident);
  loop.pods.advance(nowMs);
  control(loop);
  loop.product.watch();
  scrape(loop);
  if (loop.product.readsWindows) sample(loop);
  if (nowMs % triggerRoundMs === 0) prepare(loop);
  writeDeletionCosts(loop, nowMs);
  const pollMs = (scenario.scaledObject.pollingInterval ?? pollingDefaultSeconds) * 1000;
  if (nowMs % pollMs === 0) poll(loop);
  if (loop.scale.spec === 0 || nowMs % simulatedPushMs === 0) push(loop);
  if (nowMs % hpaSyncMs === simulatedHpaPhaseMs) decide(loop);
  control(loop);
  loop.recorder.tick({
    statusReplicas: loop.controller.statusReplicas(),
    isActive: loop.keda.isActive(),
    hasError: loop.keda.hasError(),
    isDue: nowMs % (scenario.timelineSeconds * 1000) === 0,
    seconds: simulatedTickMs / 1000,
  });
}

/** Runs the target's controller when there is something to do for it. */
function control({ controller: own, controlled, pods: ownPods, scale, clock }: LoopState): void {
  const { nowMs } = clock;
  const isSettled =
    controlled.generation === ownPods.generation() &&
    controlled.spec === scale.spec &&
    nowMs - controlled.atMs < simulatedRetryMs;
  if (isSettled) return;
  own.sync(scale.spec, nowMs);
  controlled.generation = ownPods.generation();
  controlled.spec = scale.spec;
  controlled.atMs = nowMs;
}

function happen(loop: LoopState, incident: Incident): void {
  const replica = loop.incidents.strike(incident, loop.pods.all());
  switch (incident.kind) {
    case "rollout":
      loop.controller.rollOut();
      loop.controlled.generation = -1;
      return;
    case "crash":
      if (replica !== undefined) loop.pods.crash(replica, loop.clock.nowMs);
      return;
    case "scaler-restart":
      loop.scalers[incident.scaler]?.restart();
      return;
    case "scaler-switch":
      switchTo(loop, incident.scaler);
      return;
    case "silent-node":
      // Its last word is that of now.
      if (loop.product.readsDevices) sample(loop);
      return;
    // These are states, and are looked up where they matter.
    case "unreachable-engine":
    case "misfit-engine":
    case "scaler-down":
      return;
  }
}

/** KEDA asks another replica from now on; what both would say now is written down. */
function switchTo(loop: LoopState, scaler: number): void {
  const { product: made, scalers, asked, recorder: record, clock } = loop;
  made.watch();
  if (made.readsDevices) sample(loop);
  for (const trigger of made.metrics.keys()) {
    const before = scalers[asked.scaler]?.ask(trigger);
    const after = scalers[scaler]?.ask(trigger);
    if (before !== undefined && after !== undefined)
      record.comparison({ atMs: clock.nowMs, trigger, before, after });
  }
  asked.scaler = scaler;
}

/** Engines of ready pods are read at one pace; those that cannot be reached keep their past. */
function scrape({ product: made, pods: ownPods, simulation, clock }: LoopState): void {
  const { nowMs } = clock;
  if (!made.readsEngines || nowMs % engineIntervalMs !== 0) return;
  simulation.traffic.history.keep(nowMs);
  for (const replica of ownPods.all())
    if (replica.phase === "ready" && !simulation.isUnreachable(replica))
      replica.engine.history.keep(nowMs);
}

function sample({ scalers }: LoopState): void {
  for (const scaler of scalers) scaler.sample();
}

/** One that is asked on and on needs no more than that. */
function prepare(loop: LoopState): void {
  const { scalers, product: made } = loop;
  if (scalers.length === 1) return;
  if (made.readsDevices) sample(loop);
  for (const scaler of scalers) scaler.prepare();
}

/** Each scaler at times of its own, as processes that started one after the other. */
function writeDeletionCosts({ scalers, product: made }: LoopState, nowMs: number): void {
  for (const [index, { sample: takeIn, writeDeletionCosts: write }] of scalers.entries()) {
    if (write === undefined || (nowMs - index * simulatedTickMs) % deletionCostCheckMs !== 0)
      continue;
    if (made.readsDevices) takeIn();
    write();
    made.watch();
  }
}

function poll(loop: LoopState): void {
  const { product: made, keda: own, answers, recorder: record, clock } = loop;
  if (made.readsDevices) sample(loop);
  answers.clear();
  own.poll(clock.nowMs);
  record.poll({ atMs: clock.nowMs, answers: [...answers.values()] });
}

function push(loop: LoopState): void {
  const { triggers } = loop.scenario.scaledObject;
  if (!triggers.some(({ type }) => type === "external-push")) return;
  if (loop.product.readsDevices) sample(loop);
  loop.keda.push(loop.clock.nowMs);
}

/** One sync of the HPA, which leaves a target at zero alone. */
function decide(loop: LoopState): void {
  const { product: made, keda: own, answers, scale, clock, recorder: record } = loop;
  if (scale.spec === 0) return;
  if (made.readsDevices) sample(loop);
  answers.clear();
  const usagesMilli = made.metrics.map((_metric, trigger) => own.usageMilli(trigger));
  const input = {
    specReplicas: scale.spec,
    statusReplicas: loop.controller.statusReplicas(),
    readyPods: readyCount(loop.pods),
    usagesMilli,
  };
  const decision = loop.hpa.sync(input, clock.nowMs);
  record.decision({
    ...decision,
    atMs: clock.nowMs,
    specReplicas: input.specReplicas,
    statusReplicas: input.statusReplicas,
    readyReplicas: loop.pods.all().filter(isServing).length,
    answers: [...answers.values()],
  });
  setSpec(scale, decision.replicas, "HPA", record, clock.nowMs);
}

/** Those that are being deleted are ready as long as they work. */
function readyCount(ownPods: Pods): number {
  let ready = 0;
  for (const { phase } of ownPods.all()) if (phase === "ready") ready += 1;
  return ready;
}

function setSpec(
  scale: LoopState["scale"],
  to: number,
  by: "HPA" | "KEDA",
  record: Recorder,
  atMs: number,
): void {
  if (to === scale.spec) return;
  record.event({ atMs, from: scale.spec, to, by });
  scale.spec = to;
}
