/** Replicas that serve requests which a test times itself, without anything that scales them. */
import { cluster } from "#simulate/cluster.ts";
import { arrivals } from "#simulate/load.ts";
import { pods } from "#simulate/pods.ts";
import { completed, type Scenario } from "#simulate/scenario.ts";
import { traffic } from "#simulate/traffic.ts";

export interface ServingOptions extends Pick<Scenario, "replica" | "cluster" | "target"> {
  /** Of requests with 100 tokens in and 100 out. */
  readonly arriveMs?: readonly number[];
  readonly promptTokens?: number;
  readonly outputTokens?: number;
}

/** A prompt of 100 tokens takes 100 ms, 100 tokens out take 10 s. */
export const model = {
  loadSeconds: 10,
  batchSlots: 2,
  prefillTokensPerSecond: 1_000,
  decodeTokensPerSecond: 10,
  batchSlowdown: 0,
  kvBlocks: 1_000,
  kvBlockTokens: 10,
  drainSeconds: 30,
};

export function serving(options: ServingOptions) {
  const { arriveMs = [], promptTokens = 100, outputTokens = 100 } = options;
  const scenario = completed({
    seconds: 0,
    load: {
      trace: {
        atMs: arriveMs,
        promptTokens: arriveMs.map(() => promptTokens),
        outputTokens: arriveMs.map(() => outputTokens),
      },
    },
    replica: { ...model, ...options.replica },
    ...(options.cluster && { cluster: options.cluster }),
    ...(options.target && { target: options.target }),
    scaledObject: { triggers: [] },
  });
  const devices = cluster(scenario.cluster, scenario.replica);
  const requests = traffic({
    arrivals: arrivals(scenario.load, 1, Number.POSITIVE_INFINITY),
    model: scenario.replica,
    speedOf: devices.speedOf,
  });
  const ownPods = pods({ scenario, cluster: devices, traffic: requests });
  return {
    scenario,
    devices,
    traffic: requests,
    pods: ownPods,
    /** Moves to a second, one after the other; `each` runs in every one. */
    play: (fromSecond: number, toSecond: number, each: (nowMs: number) => void = () => {}) => {
      for (let second = fromSecond; second <= toSecond; second += 1) {
        requests.advance(second * 1000);
        for (const replica of ownPods.all())
          replica.busyShare = replica.engine.takeBusyShare(second * 1000);
        ownPods.advance(second * 1000);
        each(second * 1000);
      }
    },
  };
}
