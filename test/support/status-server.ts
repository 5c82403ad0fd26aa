/**
 * The HTTP port of a scaler whose devices and triggers a test sets.
 *
 * @module
 */
import { systemClock } from "#core/clock.ts";
import { page } from "#gen/page.ts";
import type { UsageHistory } from "#observe/advice/usage-store.ts";
import type { IdentifiedStatus } from "#observe/decision-log.ts";
import { startHttp } from "#observe/http.ts";
import { type StatusNode, type StatusSource, statusViews } from "#observe/status.ts";
import { statusStream } from "#observe/status-stream.ts";
import { parseTrigger } from "#trigger/trigger.ts";

export interface StatusServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly nodes: StatusNode[];
  readonly triggers: IdentifiedStatus[];
  /** By `namespace/name`. */
  readonly usage: Map<string, UsageHistory>;
  /** In watts, by the object's name. */
  readonly powers: Map<string, number>;
  /** As a process that ends. */
  readonly stop: () => Promise<void>;
}

/** @param port 0: a free one. */
export function statusServer(port = 0): StatusServer {
  const clock = systemClock();
  const nodes: StatusNode[] = [];
  const triggers: IdentifiedStatus[] = [];
  const usage: StatusServer["usage"] = new Map();
  const powers: StatusServer["powers"] = new Map();
  const source: StatusSource = {
    nodes: () => nodes,
    unavailable: () => [],
    triggers: () => triggers,
    usageOf: ({ namespace, name }) => usage.get(`${namespace}/${name}`),
    powerWattsOf: ({ name }) => powers.get(name),
    evaluate: ({ value }) => {
      if (value?.result === undefined) return [];
      const explanation = {
        metric: "gpu_utilization",
        scope: "workload",
        rule: value.rule,
        devices: [
          { node: "node-0", uuid: "GPU-0-0", index: 0, ageMs: 300, pod: "llm-0", value: 92 },
        ],
      } as const;
      return [{ question: "value", answer: { value: value.result, explanation } }];
    },
  };
  const process = {
    version: "1.2.3",
    role: "scaler",
    nodeName: "here",
    startedAtMs: clock.wallMs(),
    unready: () => undefined,
  };
  const views = statusViews(source, process, clock);
  const stream = statusStream(views.status, clock);
  const http = startHttp({
    bind: "127.0.0.1",
    port,
    metrics: { text: async () => "", contentType: "text/plain" },
    unready: () => undefined,
    status: { ...views, stream, page },
  });
  const stop = async () => {
    stream.stop();
    await http.stop();
  };
  return {
    url: `http://127.0.0.1:${http.port}/`,
    port: http.port,
    nodes,
    triggers,
    usage,
    powers,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A node of eight devices, of which each holds a pod. */
export function statusNode(number: number, utilizationPercent = 40): StatusNode {
  return {
    name: `node-${number}`,
    ageMs: 300,
    sampleIntervalMs: 1_000,
    driverVersion: "580.82.07",
    knowsHolders: true,
    devices: Array.from({ length: 8 }, (_, index) => ({
      uuid: `GPU-${number}-${index}`,
      index,
      vendor: "nvidia",
      model: "NVIDIA H100",
      health: { state: "ok" },
      conditions: [],
      readings: {
        utilizationPercent,
        memoryUsedBytes: 40 * 1024 ** 3,
        memoryTotalBytes: 80 * 1024 ** 3,
        powerInstantMilliwatts: 450_000,
        temperatureCelsius: 61,
      },
      absences: {},
      holders: [{ namespace: "ml", pod: `pod-${number}-${index}`, container: "main" }],
    })),
  };
}

/** A trigger at 276, of three replicas, for which the HPA is asked for four. */
export function answeredTrigger(name: string, value = 276): IdentifiedStatus {
  return {
    id: name,
    ref: { namespace: "ml", name, scalerMetadata: {} },
    trigger: parseTrigger({ metricType: "gpu_utilization" }),
    value: { result: value, rule: `sum over 3 replicas of gpu_utilization: ${value}` },
    activity: { result: true, rule: "above the activation threshold 0" },
    workload: {
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas: 3,
      minReplicas: 1,
      maxReplicas: 9,
      desiredReplicas: Math.ceil(value / 80),
    },
    warnings: [],
    refusals: new Map(),
    points: [],
    changes: [{ atMs: Date.now(), kind: "scaled", text: "the HPA is asked for 4 replicas" }],
  };
}

export function refusedTrigger(name: string): IdentifiedStatus {
  const message = `Cannot answer for ml/${name}: nothing is known; look into its pods`;
  const fault = { code: "data-missing", message, sinceMs: Date.now() - 30_000 } as const;
  return { ...answeredTrigger(name), value: { fault } };
}
