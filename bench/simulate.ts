/**
 * How fast the simulator plays 1,000 minutes of one workload, by what its trigger reads.
 *
 *     bun bench/simulate.ts
 */
import type { Scenario } from "#simulate/scenario.ts";
import { simulate } from "#simulate/simulate.ts";

const seconds = 60_000;
const triggers = {
  concurrency: { metricType: "concurrency", targetValue: "16" },
  "GPU utilization": { metricType: "gpu_utilization", targetValue: "60" },
  "GPU utilization over 60 s": {
    metricType: "gpu_utilization",
    targetValue: "60",
    windowSeconds: "60",
  },
  "95th percentile of the first token": { metricType: "ttft_p95_ms", targetValue: "1000" },
};

for (const [name, metadata] of Object.entries(triggers)) {
  const trigger = { metadata: { scalerAddress: "scaler:6000", ...metadata } };
  const isLatency = metadata.metricType === "ttft_p95_ms";
  const scenario: Scenario = {
    seconds,
    load: {
      rate: { kind: "sine", meanPerSecond: 5, amplitudePerSecond: 4, periodSeconds: 7200 },
    },
    scaledObject: {
      triggers: [isLatency ? { ...trigger, metricType: "Value" } : trigger],
      minReplicaCount: 1,
      maxReplicaCount: 50,
    },
  };
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  const { requests, decisions, events } = simulate(scenario, 1);
  const tookMs = Math.round(performance.now() - startedMs);
  const { user, system } = process.cpuUsage(startedCpu);
  console.log(
    `${name}: ${tookMs} ms, of CPU ${Math.round((user + system) / 1000)} ms, for ${seconds / 60} minutes, ${requests.count} requests, ` +
      `${decisions.length} decisions, ${events.length} changes`,
  );
}
