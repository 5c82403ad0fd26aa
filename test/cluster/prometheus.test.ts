/** What the chart's dashboards and alerts ask for, asked of a real Prometheus that scrapes real processes. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Readings } from "#metric/reading.ts";
import { alertRules, dashboards, rulesPath } from "../deploy/monitoring.ts";
import { foreignClient } from "../foreign/client.ts";
import type { Serving } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";
import {
  hasPrometheus,
  type Prometheus,
  promtool,
  skipReason,
  startPrometheus,
} from "../support/prometheus.ts";
import { fakeEngine } from "./fake-engine.ts";
import { type ClusterScene, clusterScene } from "./scene.ts";

setDefaultTimeout(120_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

const addressOf = ({ bind, httpPort }: Serving) => `${bind}:${httpPort}`;
const engineAddress = "127.0.1.1";

const drawing = (watts: number): Readings => ({
  powerAverageMilliwatts: watts * 1000,
  temperatureCelsius: 60,
  memoryUsedBytes: 30e9,
  memoryTotalBytes: 80e9,
});

/** Two nodes, a GPU that is lost, an engine, and triggers that are answered, refused and warned of. */
async function busyCluster(open: AsyncDisposableStack): Promise<ClusterScene> {
  const engine = open.use(await fakeEngine("vllm-v1.prom", engineAddress));
  const scene = open.use(
    await clusterScene({
      keda,
      nodes: ["node-a", "node-b"],
      scalerArgs: ["--allow-endpoint", engineAddress],
    }),
  );
  scene.node("node-a").gpus([
    { percent: 90, readings: drawing(300), pod: "ml/llm-0" },
    { percent: 70, readings: drawing(200), pod: "ml/llm-1" },
  ]);
  scene.node("node-b").gpus([
    { percent: 0, lost: true },
    { percent: 5, readings: drawing(70) },
  ]);
  const namespace = "ml";
  const llm = scene.workload({
    name: "llm",
    namespace,
    pods: ["llm-0", "llm-1"].map((name) => ({ name, node: "node-a" })),
  });
  scene.workload({ name: "typo", namespace, metadata: { metricTyp: "queue_depth" }, pods: [] });
  engine.load({ waiting: 3, running: 1 });
  scene.workload({
    name: "chat",
    namespace,
    metadata: { metricType: "queue_depth", targetValue: "5" },
    pods: [
      {
        name: "chat-0",
        ip: engine.address,
        containers: [{ name: "server", ports: [{ name: "http", port: engine.port }] }],
      },
    ],
  });
  const { value, active, gauge } = scene.scaler();
  await eventually(() => value(llm), 160);
  expect(await active(llm)).toBe(true);
  const energy = 'keda_gpu_scaler_workload_energy_joules_total{namespace="ml",name="llm"}';
  await eventually(() => gauge(energy), expect.any(Number), { withinMs: 30_000 });
  return scene;
}

/** An expression as Grafana sends it, with the seconds of a test for the hours of a person. */
function filledIn(expression: string): string {
  const variables: Readonly<Record<string, string>> = {
    instance: ".*",
    gpu_name: ".*",
    namespace: "ml",
    name: "llm",
    price_kwh: "0.25",
    price_gpu_hour: "2",
    __rate_interval: "5s",
    __range: "30s",
    __interval: "1s",
    __interval_ms: "1000",
  };
  return expression.replaceAll(/\$(\w+)/g, (_all, name: string) => {
    const text = variables[name];
    if (text === undefined) throw new Error(`${expression}: nothing is known of ${name}`);
    return text;
  });
}

const asked = (await dashboards()).flatMap(({ file, panels }) =>
  panels.flatMap(({ title, targets }) =>
    targets.map(({ refId, expr }) => ({ panel: `${file}: ${title} ${refId}`, expr })),
  ),
);
const variables = (await dashboards()).flatMap(({ file, templating }) =>
  templating.list.flatMap(({ name, definition }) =>
    definition === undefined ? [] : [{ name: `${file}: ${name}`, definition }],
  ),
);

/** Panels that are empty in a cluster where this does not happen. */
const mayBeEmpty = [
  "keda-gpu-scaler.json: Certificates A",
  "keda-gpu-scaler-workload.json: No answer A",
  "keda-gpu-scaler-workload.json: Calls that were refused A",
];

/** Which panels are empty now and should not be. @throws for an expression that Prometheus refuses. */
async function emptyPanels({ query }: Prometheus): Promise<readonly string[]> {
  const answers = await Promise.all(
    asked.map(async ({ panel, expr }) => ({ panel, result: await query(filledIn(expr)) })),
  );
  return answers.flatMap(({ panel, result }) =>
    result.length === 0 && !mayBeEmpty.includes(panel) ? [panel] : [],
  );
}

describe("a Prometheus that scrapes scaler and agents", () => {
  test.skipIf(!hasPrometheus)(
    `gives data for every panel and variable, and takes every alert${skipReason}`,
    async () => {
      await using open = new AsyncDisposableStack();
      const scene = await busyCluster(open);
      const agents = ["node-a", "node-b"].map((node) => ({
        address: addressOf(scene.node(node).agent()),
        labels: { node, namespace: "keda" },
      }));
      const scaler = { address: addressOf(scene.scaler().serving), labels: { namespace: "keda" } };
      const prometheus = open.use(
        await startPrometheus({ targets: [...agents, scaler], rules: [rulesPath] }),
      );
      const { query, alerts } = prometheus;

      await eventually(() => emptyPanels(prometheus), [], {
        withinMs: 60_000,
        everyMs: 500,
      });
      for (const { name, definition } of variables) {
        const [, selector, label = ""] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
        const found = await query(filledIn(`${selector}`));
        expect([name, found.length > 0 && found.every(({ labels }) => label in labels)]).toEqual([
          name,
          true,
        ]);
      }

      const rules = await alertRules();
      await eventually(
        alerts,
        rules.map(({ alert }) => `${alert} ok`),
      );
      const holding = await Promise.all(
        rules.map(async ({ alert, expr }) => ({ alert, series: await query(expr) })),
      );
      const troubles = holding.flatMap(({ alert, series }) =>
        series.map(({ labels: { namespace, name, code, node } }) =>
          [alert, node ?? `${namespace}/${name}`, code].join(" ").trim(),
        ),
      );
      expect(troubles.toSorted()).toEqual([
        "GpuScalerGpuLost node-b",
        "GpuScalerNotAsked ml/chat",
        "GpuScalerTriggerRefused ml/typo trigger-invalid",
      ]);

      // Devices of 300 W and 200 W, held alike; nothing of the pod's namespace came over the object's.
      const perDevice = await query(
        "keda_gpu_scaler_workload_energy_joules_total / keda_gpu_scaler_workload_device_seconds_total",
      );
      expect(perDevice.map(({ labels }) => `${labels["namespace"]}/${labels["name"]}`)).toEqual([
        "ml/llm",
      ]);
      expect(perDevice[0]?.value).toBeCloseTo(250);
    },
  );

  test.skipIf(!hasPrometheus)(
    `has no complaint about how they name things${skipReason}`,
    async () => {
      await using open = new AsyncDisposableStack();
      const scene = await busyCluster(open);
      const pages = [scene.scaler().serving, scene.node("node-a").agent()].map(async (serving) => {
        const page = await fetch(`http://${addressOf(serving)}/metrics`);
        const { output } = await promtool(["check", "metrics"], await page.text());
        return output.trim();
      });
      expect(await Promise.all(pages)).toEqual([
        "",
        // Dashboards have this name, and would lose it.
        'keda_gpu_scaler_gpu_device_count non-histogram and non-summary metrics should not have "_count" suffix',
      ]);
    },
  );
});
