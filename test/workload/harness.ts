import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#core/clock.ts";
import { Fault, type FaultCode } from "#core/fault.ts";
import { inClusterAccess } from "#kubernetes/access.ts";
import { type KubernetesClient, kubernetesClient } from "#kubernetes/client.ts";
import { type Workloads, watchWorkloads } from "#workload/watch-workloads.ts";
import type { Workload } from "#workload/workload.ts";
import {
  type FakeKubernetes,
  type FakeKubernetesOptions,
  startFakeKubernetes,
} from "../fake-kubernetes/server.ts";

/** The system's clock, with a way to let time pass at once. */
export interface ShiftedClock extends Clock {
  /** Moves time on, and runs every timer that falls due on the way. */
  readonly advance: (byMs: number) => void;
}

export function shiftedClock(): ShiftedClock {
  const system = systemClock();
  const timers = new Set<{ dueMs: number; fire: () => void }>();
  let shiftMs = 0;
  const monotonicMs = () => system.monotonicMs() + shiftMs;
  const after: Clock["after"] = (delayMs, run) => {
    const timer = { dueMs: monotonicMs() + delayMs, fire: () => {} };
    const cancelReal = system.after(delayMs, () => timer.fire());
    const cancel = () => {
      timers.delete(timer);
      cancelReal();
    };
    timer.fire = () => {
      cancel();
      run();
    };
    timers.add(timer);
    return cancel;
  };
  return {
    wallMs: () => system.wallMs() + shiftMs,
    monotonicMs,
    after,
    every: (intervalMs, run) => {
      let cancel = () => {};
      const arm = () => {
        cancel = after(intervalMs, () => {
          arm();
          run();
        });
      };
      arm();
      return () => cancel();
    },
    advance: (byMs) => {
      shiftMs += byMs;
      for (const timer of [...timers]) if (timer.dueMs <= monotonicMs()) timer.fire();
    },
  };
}

/** Everything that one test runs; it is stopped after the test. */
export interface Cluster {
  readonly fake: FakeKubernetes;
  readonly clock: ShiftedClock;
  readonly client: KubernetesClient;
  readonly workloads: Workloads;
  readonly log: readonly string[];
  /** Looks up a workload of namespace `default` unless told otherwise. */
  readonly look: (name: string, options?: LookOptions) => Workload;
  /** @returns The code of the fault that looking it up ends in, or `undefined`. */
  readonly faultOf: (name: string, options?: LookOptions) => FaultCode | undefined;
}

export interface LookOptions {
  readonly namespace?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly podSelector?: string;
  readonly container?: string;
}

/** What triggers that call the service under test carry. */
export const ours = { scalerAddress: "keda-gpu-scaler.keda.svc.cluster.local:6000" };

const stops: (() => void | Promise<void>)[] = [];

/**
 * Stops what a test started. Each test file hands it to `afterEach` itself: called here, a hook would
 * hold for the first file that imports this one, and for no other.
 */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).toReversed()) await stop();
}

/** Runs `stop` when the test is over. */
export function whenOver(stop: () => void | Promise<void>) {
  stops.push(stop);
}

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "workload-"));
  whenOver(() => rm(directory, { recursive: true }));
  return directory;
}

export async function startFake(options: FakeKubernetesOptions = {}): Promise<FakeKubernetes> {
  const fake = await startFakeKubernetes(options);
  whenOver(fake.stop);
  return fake;
}

/** A client as it is in a pod: token and authority from files, over TLS. */
export async function inClusterClient(fake: FakeKubernetes, clock: Clock) {
  const directory = await temporaryDirectory();
  await fake.writeServiceAccount(directory);
  const access = inClusterAccess({ host: fake.host, port: `${fake.port}`, directory });
  return { client: kubernetesClient(access, clock), directory };
}

/** Starts the room against a server with these objects; returns before anything is read. */
export async function startCluster(
  fake: FakeKubernetes,
  random: () => number = () => 0,
): Promise<Cluster> {
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  const log: string[] = [];
  const workloads = watchWorkloads({
    client,
    clock,
    random,
    log: (level, event, facts) => log.push(`${level} ${event} ${JSON.stringify(facts)}`),
    services: ["keda-gpu-scaler.keda"],
  });
  whenOver(workloads.stop);
  const look = (name: string, options: LookOptions = {}) => {
    const { namespace = "default", metadata = ours, ...narrowing } = options;
    return workloads.view.of(namespace, name, metadata, narrowing);
  };
  const faultOf = (name: string, options?: LookOptions) => {
    try {
      look(name, options);
      return undefined;
    } catch (fault) {
      if (fault instanceof Fault) return fault.code;
      throw fault;
    }
  };
  return { fake, clock, client, workloads, log, look, faultOf };
}

/** Waits until the condition holds; a test that waits in vain runs into its own time limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(2);
}

/** Waits until every prepared workload has been read. */
export function ready({ workloads }: Cluster): Promise<void> {
  return until(() => workloads.waitingFor().length === 0);
}

/** Waits until the condition holds, while the clock runs a hundred times as fast. */
export async function untilLater({ clock }: Cluster, condition: () => boolean): Promise<void> {
  while (!condition()) {
    clock.advance(200);
    await Bun.sleep(2);
  }
}

/** Lists and watches of a path that began; `kind` tells them apart. */
export function requestsOf(fake: FakeKubernetes, kind: "list" | "watch" | "scale", path = "") {
  return fake.requests.filter((request) => {
    const is = request.path.endsWith("/scale")
      ? "scale"
      : request.query.has("watch")
        ? "watch"
        : "list";
    return is === kind && request.path.includes(path);
  });
}
