/**
 * A fake API server for one test: started, reached as a pod reaches it, and stopped after the test.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#core/clock.ts";
import { inClusterAccess } from "#kubernetes/access.ts";
import { kubernetesClient } from "#kubernetes/client.ts";
import { type FakeKubernetes, type FakeKubernetesOptions, startFakeKubernetes } from "./server.ts";

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
  const directory = await mkdtemp(join(tmpdir(), "fake-kubernetes-"));
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

/** Waits until the condition holds; a test that waits in vain runs into its own time limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(2);
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
