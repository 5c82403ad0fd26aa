import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { type EvaluatedTrigger, explainedAnswer, product } from "#simulate/product/product.ts";
import type { Scenario, TriggerModel } from "#simulate/scenario.ts";
import { simulate, simulationLoop } from "#simulate/simulate.ts";
import { profileAdvice } from "#trigger/advice.ts";

const concurrency: TriggerModel = {
  metadata: { scalerAddress: "s", metricType: "concurrency", targetValue: "10" },
};
const endpoint: TriggerModel = {
  type: "external-push",
  metadata: {
    scalerAddress: "s",
    metricType: "queue_depth",
    targetValue: "5",
    endpoint: "http://gateway.ml:9090/metrics",
    engine: "epp",
    engineLabels: 'inference_pool="llm"',
  },
};
const base: Scenario = {
  seconds: 1200,
  load: { rate: { kind: "constant", perSecond: 5 } },
  target: { replicas: 2 },
  scaledObject: { triggers: [concurrency], minReplicaCount: 1, maxReplicaCount: 20 },
};

test("the same seed gives the same run, another one another", () => {
  expect(simulate(base, 1)).toEqual(simulate(base, 1));
  expect(simulate(base, 2).requests.count).not.toBe(simulate(base, 1).requests.count);
});

test("a loop that is advanced to its end has the run of the whole, and before it a part of that", () => {
  const whole = simulate(base, 1);
  const loop = simulationLoop(base, 1);
  for (let second = 1; second <= 600; second += 1) loop.advance();
  expect(loop.simulation.nowMs()).toBe(600_000);
  expect(loop.run().seconds).toBe(600);
  expect(loop.records.decisions).toEqual(whole.decisions.filter(({ atMs }) => atMs <= 600_000));
  for (let second = 601; second <= 1200; second += 1) loop.advance();
  expect(loop.run()).toEqual(whole);
});

test("an evaluation has the explanations of what KEDA gets, of a workload by its own name", () => {
  const evaluations: EvaluatedTrigger[] = [];
  const named = { ...base, target: { name: "chat", replicas: 2 }, cluster: { nodePrefix: "h100" } };
  const loop = simulationLoop(named, 1, (simulation) => {
    const made = product(simulation);
    const scaler = () => {
      const own = made.scaler();
      const ask = (trigger: number) => {
        const evaluation = own.evaluate(trigger);
        evaluations.push(evaluation);
        return explainedAnswer(evaluation);
      };
      return { ...own, ask };
    };
    return { ...made, scaler };
  });
  for (let second = 1; second <= 30; second += 1) loop.advance();
  const [poll] = loop.records.polls;
  expect(evaluations.map(explainedAnswer).at(-1)).toEqual(poll?.answers[0]);
  const { ref, value } = evaluations.at(-1) ?? {};
  expect(ref).toMatchObject({ namespace: "ml", name: "chat" });
  const pod = { name: "chat-0-00000", node: "h100-0" };
  expect(value).toMatchObject({
    explanation: {
      metric: "concurrency",
      workload: { pods: expect.arrayContaining([expect.objectContaining(pod)]) },
    },
  });
});

test("metadata that breaks a rule is refused before anything is played", () => {
  const triggers = [{ metadata: { metricTpe: "concurrency" } }];
  const broken = () => simulate({ ...base, scaledObject: { triggers } }, 1);
  expect(broken).toThrow(Fault);
  expect(broken).toThrow("metricTpe");
});

describe("a run", () => {
  const run = simulate(base, 1);
  test("has a row of the timeline for each interval, and for each change", () => {
    const times = run.timeline.map(({ atMs }) => atMs);
    for (let second = 15; second <= 1200; second += 15) expect(times).toContain(second * 1000);
    for (const { atMs, to } of run.events) {
      const row = run.timeline.find((one) => one.atMs === atMs);
      expect(row?.specReplicas).toBe(to);
    }
  });
  test("has a decision for each sync of the HPA, with how its value came about", () => {
    expect(run.decisions.length).toBe(80);
    expect(run.decisions[0]?.atMs).toBe(7_000);
    expect(run.decisions[1]?.atMs).toBe(22_000);
    const [answer] = run.decisions[9]?.answers ?? [];
    expect(answer).toMatchObject({ value: expect.any(Number), isActive: true });
    expect(answer?.rule).toContain("concurrency");
    expect(answer?.activityRule).toContain("activation threshold");
  });
  test("has a poll of KEDA every half minute", () => {
    expect(run.polls.map(({ atMs }) => atMs).slice(0, 3)).toEqual([30_000, 60_000, 90_000]);
  });
  test("counts requests, their waits and what devices were held", () => {
    const { count, finished, waitsMs, firstTokensMs, wait, firstToken } = run.requests;
    expect(count).toBeGreaterThan(5_500);
    expect(finished).toBeGreaterThan(count - 100);
    expect([waitsMs.length, firstTokensMs.length]).toEqual([count, count]);
    expect(wait.p50).toBeLessThanOrEqual(wait.p95);
    expect(wait.p95).toBeLessThanOrEqual(wait.p99);
    // A prompt of 500 tokens at 20,000 in a second.
    expect(firstToken.p50 - wait.p50).toBeGreaterThanOrEqual(25);
    const held = run.timeline.reduce((sum, { statusReplicas, atMs }, index) => {
      const untilMs = run.timeline[index + 1]?.atMs ?? 1_200_000;
      return sum + (statusReplicas * (untilMs - atMs)) / 1000;
    }, 0);
    expect(run.gpuSeconds / held).toBeCloseTo(1, 1);
    expect(run.zeroSeconds).toBe(0);
  });
});

describe("a workload at zero", () => {
  const sleeping: Scenario = {
    ...base,
    seconds: 600,
    load: {
      rate: {
        kind: "steps",
        steps: [
          { atSecond: 0, perSecond: 0 },
          { atSecond: 100, perSecond: 2 },
          { atSecond: 110, perSecond: 0 },
        ],
      },
      arrivals: "even",
    },
    target: { replicas: 0 },
    replica: { loadSeconds: 20 },
    scaledObject: { triggers: [concurrency, endpoint], cooldownPeriod: 60, maxReplicaCount: 20 },
  };
  test("wakes by what waits in front as soon as that is scraped, and goes back", () => {
    const run = simulate(sleeping, 1);
    const [woken] = run.events;
    expect(woken).toMatchObject({ from: 0, to: 1, by: "KEDA" });
    expect(woken?.atMs).toBeLessThanOrEqual(106_000);
    expect(run.requests.coldStarts).toBe(20);
    expect(run.requests.finished).toBe(20);
    expect(run.events.at(-1)).toMatchObject({ to: 0, by: "KEDA" });
    expect(run.zeroSeconds).toBeGreaterThan(300);
    expect(run.decisions.every(({ specReplicas }) => specReplicas > 0)).toBe(true);
  });
  test("wakes by polling where nothing is pushed", () => {
    const triggers = [concurrency, { ...endpoint, type: "external" as const }];
    const scaledObject = { ...sleeping.scaledObject, triggers, pollingInterval: 40 };
    expect(simulate({ ...sleeping, scaledObject }, 1).events[0]?.atMs).toBe(120_000);
  });
  test("stays there where nothing sees what waits", () => {
    const scaledObject = { ...sleeping.scaledObject, triggers: [concurrency] };
    const run = simulate({ ...sleeping, scaledObject }, 1);
    expect(run.events).toEqual([]);
    expect(run.requests.finished).toBe(0);
    expect(Number.isNaN(run.requests.wait.p50)).toBe(true);
  });
});

describe("a burst of two minutes", () => {
  const bursts: Scenario = {
    ...base,
    load: {
      rate: {
        kind: "bursts",
        perSecond: 1,
        burstPerSecond: 40,
        everySeconds: 600,
        burstSeconds: 120,
      },
    },
    target: { replicas: 1 },
  };
  const behaviors = Object.entries(profileAdvice).filter(([name]) =>
    ["llm-concurrency", "gateway-flow-control", "vllm-queue-depth", "vllm-kv-cache"].includes(name),
  );
  test.each(behaviors)("finds more replicas under what %s advises", (_name, advice) => {
    const { scaleUp, scaleDown } = advice;
    const scaledObject = { ...bursts.scaledObject, behavior: { scaleUp, scaleDown } };
    const during = simulate({ ...bursts, scaledObject }, 1).events.filter(
      ({ atMs, from, to }) => to > from && atMs < 120_000,
    );
    expect(during.length).toBeGreaterThan(0);
  });
});

describe("an incident", () => {
  const errors = (scenario: Partial<Scenario>) =>
    simulate({ ...base, ...scenario }, 1).decisions.flatMap(({ atMs, answers }) =>
      answers.flatMap((answer) => ("error" in answer ? [{ atMs, error: answer.error }] : [])),
    );
  const three = {
    target: { replicas: 3 },
    scaledObject: { ...base.scaledObject, minReplicaCount: 3 },
  };
  const utilization: TriggerModel = { metadata: { scalerAddress: "s", targetValue: "60" } };
  const ofDevices = { ...three.scaledObject, triggers: [utilization] };
  const rules = (scenario: Partial<Scenario>) =>
    simulate({ ...base, ...scenario }, 1).decisions.map(({ atMs, answers }) => ({
      second: atMs / 1000,
      rule: answers[0]?.rule ?? "",
    }));

  test("of a silent node leaves its replica out until it is heard again", () => {
    const incidents = [{ kind: "silent-node", node: 0, atSecond: 200, untilSecond: 400 }] as const;
    const partial = rules({ ...three, scaledObject: ofDevices, incidents })
      .filter(({ rule }) => rule.includes("2 of 3 replicas"))
      .map(({ second }) => second);
    expect([partial[0], partial.at(-1)]).toEqual([217, 397]);
  });
  test("of an unreachable engine leaves it out once its last page is 30 s old", () => {
    const incidents = [
      { kind: "unreachable-engine", replica: 0, atSecond: 221, untilSecond: 400 },
    ] as const;
    const partial = rules({ ...three, incidents })
      .filter(({ rule }) => rule.includes("2 of 3 replicas"))
      .map(({ second }) => second);
    expect([partial[0], partial.at(-1)]).toEqual([262, 397]);
  });
  test("of a scaler that starts anew is over as soon as it has heard all", () => {
    const incidents = [{ kind: "scaler-restart", scaler: 0, atSecond: 216 }] as const;
    const found = errors({ ...three, scaledObject: ofDevices, incidents });
    expect(found.map(({ atMs }) => atMs)).toEqual([217_000]);
    expect(found[0]?.error).toStartWith("fleet-syncing");
  });
  test("of a scaler that starts anew is over for engines when it has read them", () => {
    const triggers: TriggerModel[] = [
      { metadata: { scalerAddress: "s", metricType: "request_rate", targetValue: "2" } },
    ];
    const incidents = [{ kind: "scaler-restart", scaler: 0, atSecond: 216 }] as const;
    const scaledObject = { ...three.scaledObject, triggers, maxReplicaCount: 3 };
    const found = errors({ ...three, scaledObject, incidents });
    // A rate takes two pages, at 220 and 225 s.
    expect(found.map(({ atMs }) => atMs)).toEqual([7_000, 217_000]);
  });
  test("of a scaler that cannot be reached keeps what there is", () => {
    const incidents = [{ kind: "scaler-down", atSecond: 100, untilSecond: 1100 }] as const;
    const rate = {
      kind: "steps",
      steps: [
        { atSecond: 0, perSecond: 1 },
        { atSecond: 110, perSecond: 30 },
      ],
    } as const;
    const run = simulate({ ...base, target: { replicas: 1 }, load: { rate }, incidents }, 1);
    expect(run.events.every(({ atMs }) => atMs > 1_100_000)).toBe(true);
    expect(run.events.length).toBeGreaterThan(0);
  });
  test("of a rollout replaces every pod", () => {
    const incidents = [{ kind: "rollout", atSecond: 100 }] as const;
    const run = simulate({ ...base, incidents }, 1);
    expect(
      run.timeline.some(({ statusReplicas, specReplicas }) => statusReplicas > specReplicas),
    ).toBe(true);
  });
  test("of a crash begins its requests anew", () => {
    const incidents = [{ kind: "crash", replica: 0, atSecond: 100 }] as const;
    const run = simulate({ ...base, incidents }, 1);
    expect(run.requests.interrupted).toBeGreaterThan(0);
    expect(run.requests.finished).toBeGreaterThan(run.requests.count - 100);
  });
  test("of a switch compares what both replicas of the scaler say", () => {
    const incidents = [{ kind: "scaler-switch", scaler: 1, atSecond: 100 }] as const;
    const run = simulate({ ...base, incidents, scalers: 2 }, 1);
    expect(run.comparisons.length).toBe(1);
    expect(run.comparisons[0]?.after).toEqual(run.comparisons[0]?.before);
  });
});

describe("signals of engines reach the scaler", () => {
  /** Two replicas that are kept, each with about 5 of 32 slots in use and 3.4 s a request. */
  const value = (metricType: string, load: Scenario["load"] = base.load) => {
    const triggers: TriggerModel[] = [
      { metricType: "Value", metadata: { scalerAddress: "s", metricType, targetValue: "50" } },
    ];
    const scaledObject = { triggers, minReplicaCount: 2, maxReplicaCount: 2 };
    const replica = { decodeTokensPerSecond: 60, batchSlowdown: 0 };
    const { decisions } = simulate({ ...base, load, replica, scaledObject }, 1);
    const values = decisions
      .slice(20)
      .flatMap(({ answers: [answer] }) => (answer && "value" in answer ? [answer.value] : []));
    return values.reduce((sum, one) => sum + one, 0) / values.length;
  };
  const queued = { rate: { kind: "constant", perSecond: 25 } } as const;
  test.each([
    ["running_requests", base.load, 8.4],
    ["concurrency", base.load, 8.4],
    ["queue_depth", base.load, 0],
    ["request_rate", base.load, 2.5],
    ["generation_tokens_per_second", base.load, 500],
    ["prompt_tokens_per_second", base.load, 1_250],
    ["kv_cache_usage", base.load, 2.3],
    ["ttft_p50_ms", base.load, 30],
    ["e2e_p95_ms", base.load, 4_870],
    ["queue_wait_ms", base.load, 0],
    ["running_requests", queued, 32],
    ["request_rate", queued, 9.6],
  ] as const)("%s", (metricType, load, expected) => {
    const found = value(metricType, load);
    expect(Math.abs(found - expected)).toBeLessThanOrEqual(0.1 * expected + 0.01);
  });
  test("a latency of an engine that lets nobody through is how long they have waited", () => {
    const steps = [
      { atSecond: 0, perSecond: 10 },
      { atSecond: 300, perSecond: 0 },
    ];
    const triggers: TriggerModel[] = [
      {
        metricType: "Value",
        metadata: { scalerAddress: "s", metricType: "ttft_p50_ms", targetValue: "500" },
      },
    ];
    const { decisions } = simulate(
      {
        ...base,
        load: { rate: { kind: "steps", steps }, outputTokens: 1_000_000 },
        replica: { decodeTokensPerSecond: 1, batchSlots: 100, kvBlocks: 1_000_000 },
        scaledObject: { triggers, minReplicaCount: 2, maxReplicaCount: 2 },
      },
      1,
    );
    const at = (second: number) =>
      decisions.find(({ atMs }) => atMs === second * 1000)?.answers[0] ?? { error: "none" };
    // What was admitted got its first token; the rest has waited since about the twentieth second.
    const [early, late] = [at(307), at(457)];
    expect("value" in early && early.value).toBeGreaterThan(270_000);
    expect("value" in late && "value" in early && late.value - early.value).toBe(150_000);
  });
  test("a queue grows by what comes too much", () => {
    expect(value("queue_depth", queued)).toBeGreaterThan(500);
    expect(value("queue_wait_ms", queued)).toBeGreaterThan(10_000);
  });
});
