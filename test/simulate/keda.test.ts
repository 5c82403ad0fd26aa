import { describe, expect, test } from "bun:test";
import type { HpaMetric } from "#simulate/hpa.ts";
import { keda, type ScalerAnswer } from "#simulate/keda.ts";
import type { ScaledObjectModel } from "#simulate/scenario.ts";

const active = { value: 30, isActive: true };
const idle = { value: 0, isActive: false };
const failed = { error: "no" };
const trigger = { metadata: {} };

interface Options extends Partial<ScaledObjectModel> {
  readonly replicas?: number;
  readonly ready?: number;
  readonly metricType?: HpaMetric["metricType"];
  readonly createdAtMs?: number;
}

/** KEDA beside a scaler that answers as the test says, one answer a trigger. */
function beside(options: Options = {}) {
  const { replicas = 1, ready = replicas, metricType = "AverageValue", ...rest } = options;
  const { createdAtMs = 0, ...scaledObject } = rest;
  let answers: readonly ScalerAnswer[] = [];
  let isReachable = true;
  let spec = replicas;
  const own = keda({
    scaledObject: { triggers: [trigger], cooldownPeriod: 60, ...scaledObject },
    client: {
      metrics: () =>
        isReachable
          ? (scaledObject.triggers ?? [trigger]).map(() => ({ metricType, targetMilli: 10_000 }))
          : undefined,
      ask: (index) => answers[index] ?? idle,
      pushed: (index) => {
        const answer = answers[index] ?? idle;
        return "error" in answer ? undefined : answer.isActive;
      },
    },
    scale: {
      specReplicas: () => spec,
      readyReplicas: () => ready,
      scaleTo: (to) => {
        spec = to;
      },
    },
    createdAtMs,
  });
  return {
    own,
    unreachable: () => {
      isReachable = false;
    },
    poll: (second: number, ...next: readonly ScalerAnswer[]) => {
      answers = next;
      own.poll(second * 1000);
      return spec;
    },
    push: (second: number, ...next: readonly ScalerAnswer[]) => {
      answers = next;
      own.push(second * 1000);
      return spec;
    },
    usage: (...next: readonly ScalerAnswer[]) => {
      answers = next;
      return own.usageMilli(0);
    },
  };
}

describe("polling", () => {
  test("wakes to one replica, or to the least", () => {
    expect(beside({ replicas: 0 }).poll(1, active)).toBe(1);
    expect(beside({ replicas: 0, minReplicaCount: 3 }).poll(1, active)).toBe(3);
    expect(beside({ replicas: 5 }).poll(1, active)).toBe(5);
  });
  test("goes to zero one cooldown after the last activity", () => {
    const { poll } = beside();
    expect(poll(100, active)).toBe(1);
    expect(poll(160, idle)).toBe(1);
    expect(poll(161, idle)).toBe(0);
  });
  test("has a cooldown of five minutes by default", () => {
    const { poll } = beside({ cooldownPeriod: undefined as never });
    poll(0, active);
    expect(poll(300, idle)).toBe(1);
    expect(poll(301, idle)).toBe(0);
  });
  test("counts the cooldown from a wake-up", () => {
    const { poll } = beside({ replicas: 0 });
    poll(10, active);
    expect(poll(70, idle)).toBe(1);
    expect(poll(71, idle)).toBe(0);
  });
  test("goes to zero at once where nothing was ever active, after the initial cooldown", () => {
    expect(beside().poll(1, idle)).toBe(0);
    const { poll } = beside({ initialCooldownPeriod: 90, createdAtMs: 10_000 });
    expect(poll(100, idle)).toBe(1);
    expect(poll(101, idle)).toBe(0);
  });
  test("never goes below the least, and comes back to it", () => {
    expect(beside({ minReplicaCount: 1, replicas: 4 }).poll(999, idle)).toBe(4);
    expect(beside({ minReplicaCount: 3, replicas: 2 }).poll(999, idle)).toBe(3);
  });
  test("goes between the idle count and the least", () => {
    const idling = { idleReplicaCount: 1, minReplicaCount: 3 };
    const { poll } = beside({ ...idling, replicas: 5 });
    expect(poll(999, idle)).toBe(1);
    expect(poll(1000, idle)).toBe(1);
    expect(poll(1001, active)).toBe(3);
    expect(poll(1062, idle)).toBe(1);
    expect(beside({ ...idling, replicas: 2 }).poll(1, active)).toBe(3);
  });
  test("keeps what there is while a trigger fails", () => {
    const { poll, own } = beside();
    expect(poll(999, failed)).toBe(1);
    expect([own.isActive(), own.hasError()]).toEqual([false, true]);
  });
  test("keeps what there is while the scaler cannot be reached", () => {
    const { poll, own, unreachable, usage } = beside({
      fallback: { failureThreshold: 0, replicas: 6 },
    });
    unreachable();
    expect(poll(999, idle)).toBe(1);
    expect([own.isActive(), own.hasError()]).toEqual([false, true]);
    expect(usage(idle)).toBeUndefined();
  });
  test("wakes by one trigger although another fails, and refreshes no cooldown by it", () => {
    const two = { triggers: [trigger, trigger] };
    expect(beside({ ...two, replicas: 0 }).poll(1, failed, active)).toBe(1);
    const { poll, own } = beside(two);
    poll(10, active, active);
    poll(60, failed, active);
    expect([own.isActive(), own.hasError()]).toEqual([true, true]);
    expect(poll(71, idle, idle)).toBe(0);
  });
});

describe("a push stream", () => {
  const push = { triggers: [{ type: "external-push", ...trigger }] } as const;
  test("wakes at once, and ignores false", () => {
    expect(beside({ ...push, replicas: 0 }).push(1, active)).toBe(1);
    expect(beside(push).push(999, idle)).toBe(1);
    expect(beside(push).push(999, failed)).toBe(1);
  });
  test("refreshes the cooldown", () => {
    const own = beside(push);
    own.push(100, active);
    expect(own.poll(150, idle)).toBe(1);
  });
  test("is only there for triggers of that type", () => {
    expect(beside({ replicas: 0 }).push(1, active)).toBe(0);
  });
});

describe("a value", () => {
  test("is handed over in whole thousandths", () => {
    expect(beside().usage({ value: 1.2349, isActive: true })).toBe(1_234);
    expect(beside().usage(failed)).toBeUndefined();
  });
  test.each([
    ["static", "AverageValue", undefined, 6, 60_000],
    ["of as many as there are", "AverageValue", "currentReplicas", 6, 40_000],
    ["of as many as there are, if more", "AverageValue", "currentReplicasIfHigher", 3, 40_000],
    ["or of the number, if that is more", "AverageValue", "currentReplicasIfHigher", 6, 60_000],
    ["of as many as there are, if fewer", "AverageValue", "currentReplicasIfLower", 6, 40_000],
    ["or of the number, if that is fewer", "AverageValue", "currentReplicasIfLower", 3, 30_000],
    ["by ready pods under Value", "Value", undefined, 6, 30_000],
  ] as const)(
    "falls back after too many failures: %s",
    (_what, metricType, behavior, replicas, expected) => {
      const fallback = { failureThreshold: 2, replicas, ...(behavior && { behavior }) };
      const { usage, poll, own } = beside({ fallback, replicas: 4, ready: 2, metricType });
      expect([usage(failed), usage(failed), usage(failed)]).toEqual([
        undefined,
        undefined,
        expected,
      ]);
      // A fallback that is in force is activity.
      poll(999, failed);
      expect([own.isActive(), own.hasError()]).toEqual([true, false]);
      expect(usage(active)).toBe(30_000);
      expect(usage(failed)).toBeUndefined();
    },
  );
  test("has no fallback under Value without ready pods", () => {
    const fallback = { failureThreshold: 0, replicas: 2 };
    expect(beside({ fallback, ready: 0, metricType: "Value" }).usage(failed)).toBeUndefined();
  });
  test("a fallback of no replicas lets a failing trigger go to zero", () => {
    const fallback = { failureThreshold: 99, replicas: 0 };
    expect(beside({ fallback }).poll(999, failed)).toBe(0);
    expect(beside({ fallback: { ...fallback, replicas: 1 } }).poll(999, failed)).toBe(1);
  });
});
