/**
 * Circumstances in which the scaler has answered wrongly, each with a run that showed it.
 *
 * What a property finds is written down here, small and by name, before it is repaired;
 * `bun bench/circumstances.ts` says what happens in each.
 */
import type { Run, TimelineRow } from "#simulate/run.ts";
import type { ScaledObjectModel, Scenario } from "#simulate/scenario.ts";
import { unjustified } from "./workloads.ts";

export interface Circumstance {
  readonly scenario: Scenario;
  /** What goes wrong in a run of it, in words; `undefined` when nothing does. */
  readonly wrong: (run: Run) => string | undefined;
}

const scalerAddress = "scaler:6000";

function scaledObject(
  metadata: Readonly<Record<string, string>>,
  more: Partial<ScaledObjectModel> & { readonly metricType?: "Value" } = {},
): ScaledObjectModel {
  const { metricType, ...rest } = more;
  const trigger = { metadata: { scalerAddress, ...metadata }, ...(metricType && { metricType }) };
  return { triggers: [trigger], minReplicaCount: 1, maxReplicaCount: 60, ...rest };
}

const concurrency = { metricType: "concurrency", targetValue: "16" };
const utilization = { metricType: "gpu_utilization", targetValue: "60" };
const stepDown = (atSecond: number, from: number, to: number) =>
  ({
    kind: "steps",
    steps: [
      { atSecond: 0, perSecond: from },
      { atSecond, perSecond: to },
    ],
  }) as const;
/** Each request takes 5 s, however many there are. */
const steady = { batchSlowdown: 0, batchSlots: 32, loadSeconds: 60 };
const tokens = { arrivals: "even", promptTokens: 100, outputTokens: 300 } as const;
const even = (perSecond: number) => ({ rate: { kind: "constant", perSecond }, ...tokens }) as const;
const noWait = { scaleDown: { stabilizationWindowSeconds: 0 } };

/** Counts of the spec, as they followed. */
function counts({ events }: Run): string {
  return [events[0]?.from, ...events.map(({ to }) => to)].join(" ");
}

function unjustifiedBy(target: number, total: (row: TimelineRow) => number): Circumstance["wrong"] {
  return (run) => {
    const why = unjustified({ target, total }, run);
    return why && `${why}: ${counts(run)}`;
  };
}
const inReplicas = ({ running, queued }: TimelineRow) => running + queued;

function below(least: number): Circumstance["wrong"] {
  return (run) =>
    run.events.some(({ to }) => to < least) ? `needs ${least} at least: ${counts(run)}` : undefined;
}

function unlike({ comparisons }: Run): string | undefined {
  const different = comparisons.find(({ before, after }) => !Bun.deepEquals(before, after));
  const said = (answer: (typeof comparisons)[number]["before"]) =>
    "error" in answer ? answer.error : `${answer.value}`;
  return different && `one says ${said(different.before)}, the other ${said(different.after)}`;
}

/** Errors in more than half of the decisions after a second. */
function failing(fromSecond: number): Circumstance["wrong"] {
  return ({ decisions }) => {
    const later = decisions.filter(({ atMs }) => atMs > fromSecond * 1000);
    const errors = later.flatMap(({ answers }) =>
      answers.flatMap((answer) => ("error" in answer ? [answer.error] : [])),
    );
    return errors.length > later.length / 2
      ? `${errors.length} of ${later.length} decisions fail: ${errors[0]}`
      : undefined;
  };
}

export const circumstances = {
  /** Surge pods are counted as replicas that are asked for, and kept. */
  rollingUpdate: {
    scenario: {
      seconds: 3600,
      load: even(26),
      replica: steady,
      target: { replicas: 8 },
      scaledObject: scaledObject(concurrency),
      incidents: [{ kind: "rollout", atSecond: 300 }],
    },
    wrong: unjustifiedBy(16, inReplicas),
  },
  /** No pod counts while some are asked for, because all are being replaced: 0 and inactive. */
  recreate: {
    scenario: {
      seconds: 900,
      load: even(13),
      replica: steady,
      target: { replicas: 4, strategy: "Recreate" },
      scaledObject: scaledObject(concurrency, {
        minReplicaCount: 0,
        cooldownPeriod: 5,
        pollingInterval: 5,
        behavior: noWait,
      }),
      incidents: [{ kind: "rollout", atSecond: 300 }],
    },
    wrong: below(4),
  },
  /** No pod counts while some are asked for, because the quota lets none be created. */
  exhaustedQuota: {
    scenario: {
      seconds: 900,
      load: even(13),
      replica: steady,
      cluster: { podQuota: 0 },
      target: { replicas: 4, strategy: "Recreate" },
      scaledObject: scaledObject(concurrency, { minReplicaCount: 0, cooldownPeriod: 60 }),
      incidents: [{ kind: "rollout", atSecond: 300 }],
    },
    wrong: below(1),
  },
  /** A time-sliced device is counted whole for each of its holders. */
  sharedDevices: {
    scenario: {
      seconds: 3600,
      load: even(8),
      replica: { ...steady, saturatedAt: 0.2 },
      cluster: { nodes: 4, gpusPerNode: 2, podsPerGpu: 8 },
      target: { replicas: 2 },
      scaledObject: scaledObject(utilization),
    },
    wrong: unjustifiedBy(60, ({ utilizationPercent }) => utilizationPercent),
  },
  /**
   * A StatefulSet that ends one pod after the other has more pods than `spec.replicas` for long: they
   * are kept while one is missing, so that the spec is raised to them again.
   */
  orderedScaleIn: {
    scenario: {
      seconds: 1800,
      // Half a minute each, and so for each pod that ends.
      load: { rate: stepDown(600, 4, 0.4), ...tokens, outputTokens: 1800 },
      replica: steady,
      target: { kind: "StatefulSet", replicas: 10 },
      scaledObject: scaledObject(concurrency, { behavior: noWait }),
      incidents: [{ kind: "crash", replica: 0, atSecond: 700 }],
    },
    wrong: unjustifiedBy(16, inReplicas),
  },
  /**
   * A StatefulSet that is taken to zero ends one pod after the other, and the last ones still serve: it
   * is not in use for that, and woken again.
   */
  orderedToZero: {
    scenario: {
      seconds: 900,
      load: { rate: stepDown(300, 13, 0), ...tokens },
      replica: steady,
      target: { kind: "StatefulSet", replicas: 8 },
      scaledObject: scaledObject(concurrency, {
        minReplicaCount: 0,
        cooldownPeriod: 30,
        pollingInterval: 5,
        behavior: { scaleDown: { selectPolicy: "Disabled" } },
      }),
    },
    wrong: (run) =>
      run.events.some(({ from }) => from === 0) ? `woken: ${counts(run)}` : undefined,
  },
  /**
   * A StatefulSet in the middle of a roll-out waits for the next pod before it removes one: no pod tells
   * of a scale-in, and a hold must not be for the replicas before it.
   */
  orderedRollout: {
    scenario: {
      seconds: 1_200,
      load: even(1),
      replica: { ...steady, loadSeconds: 41 },
      target: { kind: "StatefulSet", replicas: 8 },
      scaledObject: scaledObject(concurrency, {
        minReplicaCount: 1,
        behavior: {
          scaleDown: {
            stabilizationWindowSeconds: 0,
            policies: [{ type: "Pods", value: 1, periodSeconds: 60 }],
          },
        },
      }),
      incidents: [{ kind: "rollout", atSecond: 5 }],
    },
    wrong: (run) =>
      run.events.some(({ from, to }) => to > from) ? `raised: ${counts(run)}` : undefined,
  },
  /**
   * A replica that is ready and not read yet, under `Value`: the HPA multiplies the mean of the
   * others by it too.
   */
  missingUnderValue: {
    scenario: {
      seconds: 900,
      load: even(12),
      replica: { ...steady, loadSeconds: 44 },
      target: { replicas: 1 },
      scaledObject: scaledObject(concurrency, { metricType: "Value" }),
    },
    wrong: unjustifiedBy(16, inReplicas),
  },
  /** A latency under `Value` whose engines have few samples: its activity must not err. */
  fewSamples: {
    scenario: {
      seconds: 3600,
      load: { rate: { kind: "constant", perSecond: 0.3 } },
      replica: steady,
      target: { replicas: 6 },
      scaledObject: scaledObject(
        { metricType: "ttft_p95_ms", targetValue: "1000" },
        { metricType: "Value", minReplicaCount: 6 },
      ),
    },
    wrong: failing(900),
  },
  /** One engine does not export what the others do, and so all fail. */
  misfitEngine: {
    scenario: {
      seconds: 1800,
      load: even(26),
      replica: steady,
      target: { replicas: 8 },
      scaledObject: scaledObject(concurrency),
      incidents: [{ kind: "misfit-engine", replica: 3, atSecond: 300 }],
    },
    wrong: failing(300),
  },
  /** The replica of the scaler that was not asked has begun no window. */
  windowAfterSwitch: {
    scenario: {
      seconds: 1800,
      load: { rate: stepDown(990, 20, 2), ...tokens },
      replica: steady,
      target: { replicas: 6 },
      scaledObject: scaledObject({ ...utilization, windowSeconds: "60" }),
      scalers: 2,
      incidents: [{ kind: "scaler-switch", scaler: 1, atSecond: 1_000 }],
    },
    wrong: unlike,
  },
  /** The replica of the scaler that was not asked counts the grace from when it is asked. */
  missingAfterSwitch: {
    scenario: {
      seconds: 1800,
      load: { rate: stepDown(560, 20, 2), ...tokens },
      replica: steady,
      target: { replicas: 6 },
      scaledObject: scaledObject(utilization),
      scalers: 2,
      incidents: [
        { kind: "silent-node", node: 0, atSecond: 600 },
        { kind: "scaler-switch", scaler: 1, atSecond: 1_000 },
      ],
    },
    wrong: unlike,
  },
  /** The tolerances of `behavior` are not those by which the explanation says what the HPA will do. */
  ownTolerance: {
    scenario: {
      seconds: 900,
      load: even(24),
      replica: steady,
      target: { replicas: 6 },
      scaledObject: scaledObject(concurrency, { behavior: { scaleUp: { tolerance: 0.4 } } }),
    },
    wrong: ({ decisions }) => {
      const other = decisions.find(
        ({ recommended, answers: [answer] }) =>
          recommended !== undefined && answer?.desiredReplicas !== recommended,
      );
      return (
        other &&
        `explained as ${other.answers[0]?.desiredReplicas}, the HPA makes it ${other.recommended}`
      );
    },
  },
} as const satisfies Record<string, Circumstance>;
