import { describe, expect, test } from "bun:test";
import type { EngineUsage } from "#answer/usage.ts";
import { adviceBusyMinutesLeast, adviceMinutesLeast, usageMinutesMax } from "#core/limits.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import { adviceFor } from "#observe/advice/advice.ts";
import type { RecommendationCode } from "#observe/advice/recommendation.ts";
import type { UsageSample } from "#observe/advice/usage-store.ts";
import type { TriggerStatus } from "#observe/trigger-history.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { spread, usageHistory } from "../support/usage.ts";

type Metadata = Readonly<Record<string, string>>;
type Minutes = (minute: number) => Partial<UsageSample> | undefined;

function status(metadata: Metadata, metricType: MetricType = "AverageValue"): TriggerStatus {
  return {
    ref: { namespace: "ml", name: "llm", scalerMetadata: metadata },
    trigger: parseTrigger(metadata),
    workload: { kind: "ScaledObject", metricType, replicas: 2, minReplicas: 1, maxReplicas: 9 },
    warnings: [],
    refusals: new Map(),
    points: [],
    changes: [],
  };
}

/** What is recommended for a workload that was used like this for so many minutes. */
function advise(triggers: readonly TriggerStatus[], sampleAt: Minutes, minutes = 120) {
  return adviceFor(usageHistory(minutes, sampleAt), triggers);
}

function recommendation(
  code: RecommendationCode,
  triggers: readonly TriggerStatus[],
  sampleAt: Minutes,
  minutes?: number,
) {
  return advise(triggers, sampleAt, minutes).recommendations.find((one) => one.code === code);
}

type Row = readonly [
  what: string,
  triggers: TriggerStatus | readonly TriggerStatus[],
  sampleAt: Minutes,
  minutes?: number,
];

function isSilent(code: RecommendationCode, rows: readonly Row[]): void {
  for (const [what, triggers, sampleAt, minutes] of rows)
    test(`nothing of ${what}`, () => {
      expect(recommendation(code, [triggers].flat(), sampleAt, minutes)).toBeUndefined();
    });
}

const memory = status({ profile: "vllm-inference" });
const utilization = status({ metricType: "gpu_utilization" });
const concurrency = (target = 16) =>
  status({ profile: "llm-concurrency", targetValue: `${target}` });
const cache = status({ profile: "vllm-kv-cache" });
const queue = status({ profile: "vllm-queue-depth" });
/** Reads the engine, but for a latency. */
const latency = status({ profile: "llm-ttft-p95" }, "Value");

const vllm = (changes: EngineUsage): EngineUsage => ({ name: "vllm", waiting: 0, ...changes });
/** From 2 to 40 requests in one replica, all of them running. */
const running = (minute: number) => 2 + (minute % 39);
const requests: Minutes = (minute) => ({
  engine: vllm({
    running: 2 * running(minute),
    runningMost: running(minute),
    unqueuedMost: running(minute),
  }),
});

describe("memory-constant", () => {
  const constant: Minutes = (minute) => ({
    ...requests(minute),
    memoryUsedPercent: spread(91 + (minute % 2)),
  });

  test("memory that is high whatever runs is no signal: requests are, with a target by what ran", () => {
    const found = recommendation("memory-constant", [memory], constant);
    expect(found).toMatchObject({
      level: "change",
      evidence: { memoryP5Percent: 91, memoryP95Percent: 92, busyMinutes: 120 },
      metadata: { profile: "llm-concurrency", targetValue: "28" },
    });
    expect(found?.text).toContain("70 % of the 40 that one replica ran while none waited");
    expect(found?.why).toContain("91 to 92 % while a replica ran 3 to 39 requests");
  });

  isSilent("memory-constant", [
    [
      "memory that follows the load",
      memory,
      (minute) => ({ ...requests(minute), memoryUsedPercent: spread(60 + running(minute)) }),
    ],
    [
      "memory that is constant and low",
      memory,
      (minute) => ({ ...requests(minute), memoryUsedPercent: spread(40) }),
    ],
    [
      "a load that never changed",
      memory,
      () => ({
        engine: vllm({ running: 5, runningMost: 5 }),
        memoryUsedPercent: spread(91),
      }),
    ],
    ["a trigger that does not read memory", concurrency(), constant],
    ["too few busy minutes", memory, constant, adviceBusyMinutesLeast - 1],
    ["memory that is not known", memory, requests],
  ]);

  test("a load that only devices or idle minutes show is one too", () => {
    const constantly = (sample: Partial<UsageSample>) => ({
      ...sample,
      memoryUsedPercent: spread(91),
    });
    for (const [sampleAt, why] of [
      [(minute: number) => ({ utilizationPercent: spread(minute % 2 ? 90 : 40) }), "40 to 90 %"],
      [
        (minute: number) => ({
          utilizationPercent: spread(100),
          powerWatts: spread(minute % 2 ? 650 : 300),
        }),
        "a device drew 300 to 650 W",
      ],
      [
        (minute: number) => ({ utilizationPercent: spread(minute % 2 ? 90 : 0) }),
        "60 minutes were busy and 60 idle",
      ],
    ] as const)
      expect(
        recommendation("memory-constant", [memory], (minute) => constantly(sampleAt(minute)))?.why,
      ).toContain(why);
  });
});

describe("utilization-saturated", () => {
  const saturated: Minutes = (minute) => ({
    ...requests(minute),
    utilizationPercent: spread(minute % 5 === 0 ? 60 : 97),
  });

  test("utilization that is full in most busy minutes cannot tell loads apart", () => {
    const found = recommendation("utilization-saturated", [utilization], saturated);
    expect(found).toMatchObject({
      evidence: { saturatedMinutes: 96, knownMinutes: 120 },
      metadata: { profile: "llm-concurrency", targetValue: "28" },
    });
    expect(found?.why).toContain("in 96 of 120 busy minutes, while a replica ran 3 to 39 requests");
  });

  test("without an engine there is no profile to take", () => {
    const found = recommendation("utilization-saturated", [utilization], (minute) => ({
      utilizationPercent: spread(minute % 5 === 0 ? 0 : 97),
    }));
    expect(found?.text).toContain("engineMetric");
    expect(found?.metadata).toBeUndefined();
  });

  isSilent("utilization-saturated", [
    [
      "utilization that is full in half of the minutes",
      utilization,
      (minute) => ({ utilizationPercent: spread(minute % 2 ? 97 : 60) }),
    ],
    ["a trigger that does not read it", concurrency(), saturated],
    ["too few busy minutes", utilization, saturated, adviceBusyMinutesLeast - 1],
  ]);
});

describe("engine-unread", () => {
  const named: Minutes = () => ({ likelyEngine: "vllm" });

  test("an engine whose requests nobody counts is named, however short it was observed", () => {
    const found = recommendation("engine-unread", [utilization], named, 1);
    expect(found).toMatchObject({ metadata: { profile: "llm-concurrency" } });
    expect(found?.why).toContain("vllm");
    expect(recommendation("engine-unread", [memory], () => ({}), 1)).toBeDefined();
  });

  isSilent("engine-unread", [
    ["no engine", [utilization], () => ({})],
    ["an engine that is read beside it", [utilization, queue], named],
    ["an engine that tells nothing of requests", [utilization], () => ({ likelyEngine: "ollama" })],
    [
      "what another recommendation says already",
      [utilization],
      () => ({ likelyEngine: "vllm", utilizationPercent: spread(99) }),
    ],
  ]);
});

describe("steady-work", () => {
  const steady: Minutes = () => ({ utilizationPercent: spread(96) });

  test("hours of even work without an engine are training or a batch", () => {
    const found = recommendation("steady-work", [utilization], steady);
    expect(found).toMatchObject({ metadata: { profile: "training" }, metricType: "Value" });
    expect(found?.why).toContain("120 of 120 minutes, 120 of them without a pause");
    expect(recommendation("utilization-saturated", [utilization], steady)).toBeUndefined();
  });

  isSilent("steady-work", [
    ["an engine", memory, steady],
    ["requests", concurrency(), (minute) => ({ ...steady(minute), ...requests(minute) })],
    ["one that is scaled like that", status({ profile: "training" }, "Value"), steady],
    [
      "work with pauses",
      utilization,
      (minute) => ({ utilizationPercent: spread(minute % 6 ? 96 : 0) }),
    ],
    [
      "work that comes and goes",
      utilization,
      (minute) => ({ utilizationPercent: spread(minute % 2 ? 96 : 71) }),
    ],
    ["work of less than an hour", utilization, steady, adviceMinutesLeast - 1],
  ]);
});

describe("requests-wait", () => {
  /** Each tenth minute 8 wait where 30 run; else up to 20 run and none waits. */
  const waiting =
    (changes: Partial<UsageSample> = {}): Minutes =>
    (minute) => ({
      ...changes,
      engine:
        minute % 10 === 0
          ? { name: "vllm", waiting: 8, running: 30, runningMost: 30 }
          : vllm({ running: 20, runningMost: 20, unqueuedMost: 20 }),
    });

  test("a target above what a replica runs without a queue is lowered", () => {
    const found = recommendation("requests-wait", [concurrency(24)], waiting());
    expect(found).toMatchObject({
      text: "Lower the target from 24 to 14",
      metadata: { targetValue: "14" },
      evidence: { waitingBelowMaximumMinutes: 12, unqueuedMost: 20, target: 24, waitingMost: 8 },
    });
    expect(recommendation("requests-wait", [concurrency(16)], waiting())).toBeUndefined();
    expect(recommendation("requests-wait", [concurrency(17)], waiting())).toBeDefined();
  });

  test("where nobody counts requests a trigger on the queue is added, by the engine's profile", () => {
    const found = recommendation("requests-wait", [latency], waiting());
    expect(found).toMatchObject({ metadata: { profile: "vllm-queue-depth" } });
    expect(found?.why).toContain("Requests waited, 8 at most, in 12 of 120 busy minutes");
    const other = recommendation("requests-wait", [latency], (minute) => ({
      engine: { ...waiting()(minute)?.engine, name: "lmdeploy" },
    }));
    expect(other?.metadata).toEqual({ metricType: "queue_depth", targetValue: "5" });
  });

  isSilent("requests-wait", [
    ["a queue that is read", queue, waiting()],
    ["requests that wait at the maximum of replicas", concurrency(24), waiting({ replicas: 9 })],
    ["two minutes of waiting", latency, waiting(), 20],
    ["requests that never wait", latency, requests],
  ]);
});

describe("target-low", () => {
  const easy =
    (changes: EngineUsage = {}, sample: Partial<UsageSample> = {}): Minutes =>
    () => ({
      replicas: 4,
      engine: vllm({
        running: 48,
        runningMost: 14,
        unqueuedMost: 14,
        cachePercentMost: 20,
        ...changes,
      }),
      ...sample,
    });

  test("where nothing ever waits and replicas are many, each may take more", () => {
    const found = recommendation("target-low", [concurrency()], easy());
    expect(found).toMatchObject({
      text: "Raise the target from 16 to 24, and ask again after some busy hours",
      evidence: { knownMinutes: 120, waitingMinutes: 0, runningMost: 14, replicasMost: 4 },
    });
    expect(found?.why).toContain("never held more than 20 %");
  });

  isSilent("target-low", [
    [
      "one minute of waiting",
      concurrency(),
      (minute) => easy({ waiting: minute === 60 ? 1 : 0 })(minute),
    ],
    ["the fewest replicas", concurrency(), easy({}, { replicas: 1 })],
    ["a target that is far away", concurrency(32), easy()],
    ["a cache that fills", concurrency(), easy({ cachePercentMost: 75 })],
    ["a trigger on the queue", queue, easy()],
    ["too few busy minutes", concurrency(), easy(), adviceBusyMinutesLeast - 1],
  ]);
});

describe("cache-full and cache-roomy", () => {
  const waitingAt =
    (percent: number | undefined, name = "vllm"): Minutes =>
    (minute) => ({
      engine: {
        name,
        waiting: minute % 4 === 0 ? 3 : 0,
        running: 10,
        runningMost: 10,
        cachePercentMost: percent,
      },
    });
  const codes = (trigger: TriggerStatus, sampleAt: Minutes, minutes?: number) =>
    advise([trigger], sampleAt, minutes).recommendations.map(({ code }) => code);

  test("requests that wait for a full cache want a second trigger on it", () => {
    const found = recommendation("cache-full", [concurrency()], waitingAt(96));
    expect(found).toMatchObject({
      metadata: { profile: "vllm-kv-cache" },
      evidence: { fullWaitingMinutes: 30, waitingMinutes: 30, cacheMostPercent: 96 },
    });
    expect(
      recommendation("cache-full", [concurrency()], waitingAt(96, "sglang"))?.metadata,
    ).toEqual({ metricType: "kv_cache_usage", targetValue: "80" });
  });

  test("requests that wait beside a roomy cache wait for the batch", () => {
    expect(recommendation("cache-roomy", [concurrency()], waitingAt(30))).toMatchObject({
      level: "note",
      evidence: { roomyWaitingMinutes: 30 },
    });
    expect(recommendation("cache-roomy", [cache], waitingAt(30))?.level).toBe("change");
  });

  test("nothing of a cache between, one that nobody knows, one that is read, or no waiting", () => {
    const none = (trigger: TriggerStatus, sampleAt: Minutes, minutes?: number) =>
      expect(codes(trigger, sampleAt, minutes).filter((code) => code.startsWith("cache"))).toEqual(
        [],
      );
    none(concurrency(), waitingAt(75));
    none(concurrency(), waitingAt(undefined));
    none(cache, waitingAt(96));
    none(concurrency(), requests);
    none(concurrency(), waitingAt(96), 8);
  });
});

describe("replicas-restless", () => {
  /** Up and down again, once in so many minutes. */
  const swinging =
    (minutes: number, isFollowed = true): Minutes =>
    (minute) => {
      const high = minute % minutes < minutes / 2;
      return { desiredReplicas: high ? 5 : 2, replicas: isFollowed && high ? 5 : 2 };
    };

  test("replicas that come and go want a longer window", () => {
    const found = recommendation("replicas-restless", [concurrency()], swinging(10));
    expect(found?.evidence).toMatchObject({ turnsPerHour: 11, replicaTurnsPerHour: 11 });
    expect(found?.text).toContain("stabilizationWindowSeconds to 660");
    const slow = recommendation("replicas-restless", [concurrency()], swinging(24));
    expect(slow?.text).toContain("stabilizationWindowSeconds to 1800");
  });

  isSilent("replicas-restless", [
    ["a swing of an hour", concurrency(), swinging(60)],
    ["what behavior calms already", concurrency(), swinging(10, false)],
    [
      "replicas that only grow",
      concurrency(),
      (minute) => ({ desiredReplicas: minute, replicas: minute }),
    ],
    ["less than an hour", concurrency(), swinging(10), adviceMinutesLeast - 1],
  ]);
});

describe("maximum-reached", () => {
  const above =
    (share: number): Minutes =>
    (minute) => ({
      replicas: 9,
      desiredReplicas: minute % 100 < share ? 14 : 9,
    });

  test("more than the maximum for long asks for a higher one", () => {
    const found = recommendation("maximum-reached", [concurrency()], above(20), 200);
    expect(found).toMatchObject({
      evidence: { aboveMaximumMinutes: 40, knownMinutes: 200, desiredMost: 14, maxReplicas: 9 },
    });
    expect(found?.text).toContain("above 9");
  });

  test("nothing of a peak, of the maximum itself, or of less than an hour", () => {
    for (const [sampleAt, minutes] of [
      [above(19), 200],
      [above(0), 200],
      [above(100), adviceMinutesLeast - 1],
    ] as const)
      expect(recommendation("maximum-reached", [concurrency()], sampleAt, minutes)).toBeUndefined();
  });
});

describe("often-idle", () => {
  const idle =
    (share: number, sample: Partial<UsageSample> = {}): Minutes =>
    (minute) => ({
      engine: vllm({ running: minute % 100 < share ? 0 : 4, runningMost: 4 }),
      ...sample,
    });

  test("idle hours would be saved at zero, which takes something that wakes", () => {
    const found = recommendation("often-idle", [concurrency()], idle(25), 300);
    expect(found).toMatchObject({
      level: "change",
      evidence: { idleMinutes: 75, knownMinutes: 300, idleReplicaHours: 2.5, replicaHours: 10 },
    });
    expect(found?.text).toContain("saves up to 2.5 replica-hours");
    expect(found?.text).toContain("in front");
  });

  test("where zero is allowed already, something else keeps it", () => {
    const found = recommendation("often-idle", [concurrency()], idle(50, { minReplicas: 0 }));
    expect(found).toMatchObject({ level: "note" });
    expect(found?.text).toContain("cooldownPeriod");
  });

  isSilent("often-idle", [
    ["a workload that is seldom idle", concurrency(), idle(24), 100],
    ["a profile that never goes to zero", latency, idle(100)],
    ["less than an hour", concurrency(), idle(100), adviceMinutesLeast - 1],
    ["no ready replica", concurrency(), idle(100, { readyReplicas: 0 })],
    ["a workload of which nothing is known", concurrency(), () => ({})],
  ]);

  test("without an engine a device that does nothing is idle", () => {
    const sampleAt: Minutes = (minute) => ({ utilizationPercent: spread(minute % 2 ? 4 : 6) });
    expect(recommendation("often-idle", [concurrency()], sampleAt)?.evidence).toMatchObject({
      idleMinutes: 60,
      knownMinutes: 120,
    });
  });
});

describe("slow-start", () => {
  const starting =
    (seconds: number): Minutes =>
    (minute) => ({
      startingPods: minute % 2 === 0 ? [`pod-${minute}`] : [],
      readyAfterMs: new Map([[`pod-${minute - 1}`, seconds * 1_000]]),
    });

  test("a pod that loads for minutes wants a long cooldown", () => {
    const found = recommendation("slow-start", [concurrency()], starting(250), 11);
    expect(found).toMatchObject({
      level: "note",
      evidence: { starts: 5, startMedianSeconds: 250 },
    });
    expect(found?.text).toContain("cooldownPeriod 540");
    expect(found?.text).toContain("simulate");
  });

  test("nothing of a quick start, or of none that was observed", () => {
    expect(recommendation("slow-start", [concurrency()], starting(59))).toBeUndefined();
    expect(recommendation("slow-start", [concurrency()], () => ({}))).toBeUndefined();
  });
});

describe("what was observed", () => {
  test("too few busy minutes are said, and the signal is not judged", () => {
    const { lacking, summary } = advise([utilization], requests, adviceBusyMinutesLeast - 1);
    expect(lacking).toBe(
      "Not enough observed to judge the signal: 29 busy minutes in 29 min, and it takes 30; ask again later",
    );
    expect(summary).toMatchObject({ busyMinutes: 29, observedMinutes: 29 });
    expect(advise([utilization], requests, adviceBusyMinutesLeast).lacking).toBeUndefined();
  });

  test("minutes of which nothing is known count for nothing", () => {
    const { summary } = advise([concurrency()], (minute) =>
      minute % 2 === 0 ? requests(minute) : undefined,
    );
    expect(summary).toMatchObject({ busyMinutes: 60, idleMinutes: 0, observedMinutes: 60 });
    expect(summary.requests?.knownMinutes).toBe(60);
  });

  test("hours without a replica are neither busy nor idle", () => {
    const { summary } = advise([concurrency()], () => ({ replicas: 0, readyReplicas: 0 }));
    expect(summary).toMatchObject({ busyMinutes: 0, idleMinutes: 0, replicaHours: 0 });
    expect(summary.replicas).toEqual({ least: 0, most: 0 });
  });

  test("a workload that fits its trigger gets no recommendation, after whole hours too", () => {
    const fits: Minutes = (minute) => ({
      engine: vllm({ running: 20, runningMost: running(minute) / 4, unqueuedMost: 12 }),
      desiredReplicas: 2,
      utilizationPercent: spread(95),
      memoryUsedPercent: spread(91),
    });
    expect(advise([concurrency(24)], fits, usageMinutesMax).recommendations).toEqual([]);
  });

  test("a trigger that cannot be used is left out", () => {
    const broken: TriggerStatus = { ...utilization, trigger: undefined };
    expect(advise([broken], requests).triggers).toEqual([]);
  });
});
