import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import {
  scaleEveryMs,
  scaleQueueMs,
  scaleRetryMostMs,
  scaleSettleMs,
  scaleStaleMs,
} from "#core/limits.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import { scaleReader } from "#workload/scale.ts";
import { manualClock } from "../support/manual-clock.ts";

const target = { group: "apps", version: "v1", kind: "Deployment", name: "llm" };
const forbidden = new Fault("kubernetes-failed", "Cannot get /scale: 403; grant get", {
  path: "/scale",
  status: 403,
});
const raw = (replicas: number, statusReplicas?: number) => ({
  spec: { replicas },
  status: { selector: "app=llm", replicas: statusReplicas },
});

/** Reads the scale of `ml/llm`; the test answers each read. */
function started(isStarting = () => false) {
  const clock = manualClock();
  const reads: PromiseWithResolvers<unknown>[] = [];
  const client = {
    get: () => {
      const read = Promise.withResolvers<unknown>();
      reads.push(read);
      return read.promise;
    },
  } as Partial<KubernetesClient> as KubernetesClient;
  const reader = scaleReader({
    client,
    clock,
    random: () => 0.5,
    log: () => {},
    changed: () => {},
    isStarting,
  });
  reader.add("ml/llm", "ml", { ...target, resource: "deployments" });
  /** Answers the newest read, and waits until that is taken. */
  const answer = async (outcome: number | Fault, statusReplicas?: number) => {
    await Bun.sleep(0);
    const read = reads.at(-1);
    if (outcome instanceof Fault) read?.reject(outcome);
    else read?.resolve(raw(outcome, statusReplicas));
    await Bun.sleep(0);
  };
  const pass = async (byMs: number) => {
    clock.advance(byMs);
    await Bun.sleep(0);
  };
  return { clock, reads, answer, pass, reader, get: () => reader.get("ml/llm") };
}

describe("what /scale said last", () => {
  test("serves for a quarter of an hour without another answer, and then says why it does not", async () => {
    const { answer, pass, get } = started();
    await answer(3);
    await pass(scaleEveryMs);
    await answer(forbidden);
    expect(get()).toMatchObject({ replicas: 3 });
    await pass(scaleStaleMs - scaleEveryMs);
    await answer(forbidden);
    expect(get()).toMatchObject({ replicas: 3 });

    await pass(scaleQueueMs);
    await answer(forbidden);
    expect(get()).toBeInstanceOf(Fault);
    expect(get()).toMatchObject({
      code: "data-stale",
      facts: { limitMs: scaleStaleMs, ageMs: scaleStaleMs + scaleQueueMs },
      message:
        "Cannot tell the replicas of Deployment ml/llm: its /scale was last read 901 s ago, and " +
        "900 s is the limit (Cannot get /scale: 403; grant get); let the scaler read it",
    });

    for (let count = 0; count < 10; count += 1) {
      await pass(scaleRetryMostMs);
      await answer(forbidden);
    }
    await pass(scaleRetryMostMs);
    await answer(4);
    expect(get()).toMatchObject({ replicas: 4 });
  });

  test("is young again with each answer", async () => {
    const { answer, pass, get } = started();
    for (let elapsedMs = 0; elapsedMs <= scaleStaleMs; elapsedMs += scaleEveryMs) {
      await answer(3);
      await pass(scaleEveryMs);
    }
    expect(get()).toMatchObject({ replicas: 3 });
  });
});

test("a pod that comes while /scale is read has it read again soon", async () => {
  const { answer, pass, reads, reader } = started();
  await answer(3);
  await pass(scaleEveryMs);
  expect(reads).toHaveLength(2);
  reader.podChanged("ml", { app: "llm" });
  await answer(3);
  await pass(scaleSettleMs);
  expect(reads).toHaveLength(3);
  await answer(3);
  await pass(scaleSettleMs);
  expect(reads).toHaveLength(3);
});

test("while there are more or fewer pods than it should have, /scale is read again soon", async () => {
  const { answer, pass, reads } = started();
  await answer(3, 8);
  await pass(scaleSettleMs);
  expect(reads).toHaveLength(2);
  await answer(2, 3);
  await pass(scaleSettleMs);
  expect(reads).toHaveLength(3);
  await answer(2, 2);
  await pass(2 * scaleSettleMs);
  expect(reads).toHaveLength(3);
});

test("while a pod is not ready, /scale is read again soon: a controller may wait for it", async () => {
  let isStarting = true;
  const { answer, pass, reads } = started(() => isStarting);
  await answer(3, 3);
  await pass(scaleSettleMs);
  expect(reads).toHaveLength(2);
  isStarting = false;
  await answer(2, 2);
  await pass(2 * scaleSettleMs);
  expect(reads).toHaveLength(2);
});
