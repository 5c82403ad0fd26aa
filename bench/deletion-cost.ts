/**
 * What deletion costs save: the same load with and without them, by how the front end chooses among
 * replicas and how long requests are. Prints a table.
 *
 *     bun bench/deletion-cost.ts
 */
import { replicaPresets } from "#simulate/input/presets.ts";
import { type Product, product } from "#simulate/product/product.ts";
import type { Scenario } from "#simulate/scenario.ts";
import { simulate } from "#simulate/simulate.ts";
import type { Simulation } from "#simulate/simulation.ts";
import { profileAdvice } from "#trigger/advice.ts";

const preset = replicaPresets["h100x2-70b"];
const { scaleUp, scaleDown } = profileAdvice["llm-concurrency"];
const hours = 4;
const seeds = Array.from({ length: 10 }, (_none, index) => index + 1);

/** Tokens out: the median, and what one in twenty exceeds. */
const outputs = [
  { p50: 500, p95: 2_000 },
  { p50: 1_000, p95: 8_000 },
];

function scenarioOf(
  routing: Scenario["routing"],
  outputTokens: (typeof outputs)[number],
  deletionCost: boolean,
): Scenario {
  return {
    seconds: hours * 3_600,
    load: {
      rate: { kind: "sine", meanPerSecond: 1.5, amplitudePerSecond: 1.4, periodSeconds: 3_600 },
      promptTokens: { p50: 1_000, p95: 4_000 },
      outputTokens,
    },
    replica: preset.replica,
    cluster: { gpuMemoryMib: preset.gpuMemoryMib },
    target: { replicas: 4 },
    ...(routing === undefined ? {} : { routing }),
    deletionCost,
    scaledObject: {
      minReplicaCount: 1,
      maxReplicaCount: 20,
      behavior: { scaleUp, scaleDown },
      triggers: [{ metadata: { scalerAddress: "scaler:6000", profile: "llm-concurrency" } }],
    },
  };
}

/** The scaler itself, and how often it gives a pod another cost. */
function counting(written: () => void): (simulation: Simulation) => Product {
  return (simulation) => {
    const made = product(simulation);
    const costs = () => new Map(simulation.pods.all().map((pod) => [pod, pod.deletionCost]));
    return {
      ...made,
      scaler: () => {
        const own = made.scaler();
        const { writeDeletionCosts: write } = own;
        if (write === undefined) return own;
        const writeCounted = () => {
          const before = costs();
          write();
          for (const [pod, cost] of costs()) if (before.get(pod) !== cost) written();
        };
        return { ...own, writeDeletionCosts: writeCounted };
      },
    };
  };
}

function played(...of: Parameters<typeof scenarioOf>) {
  let writes = 0;
  const count = counting(() => {
    writes += 1;
  });
  const runs = seeds.map((seed) => simulate(scenarioOf(...of), seed, count));
  const sum = (count: (run: (typeof runs)[number]) => number) =>
    runs.reduce((total, run) => total + count(run), 0);
  return {
    requests: sum(({ requests }) => requests.count),
    scaleDowns: sum(({ events }) => events.filter(({ from, to }) => to < from).length),
    writesPerHour: Math.round(writes / (seeds.length * hours)),
    interrupted: sum(({ requests }) => requests.interrupted),
  };
}

const line = (cells: readonly unknown[]) => console.log(`| ${cells.join(" | ")} |`);
line([
  "front end",
  "tokens out",
  "requests",
  "scaled down",
  "began anew",
  "with deletion costs",
  "writes an hour",
]);
line(["---", "---", "---", "---", "---", "---", "---"]);
for (const routing of ["fewest-requests", "random"] as const)
  for (const output of outputs) {
    const without = played(routing, output, false);
    const { interrupted, writesPerHour } = played(routing, output, true);
    const { requests, scaleDowns } = without;
    line([
      routing,
      `${output.p50}/${output.p95}`,
      requests,
      scaleDowns,
      without.interrupted,
      interrupted,
      writesPerHour,
    ]);
  }
