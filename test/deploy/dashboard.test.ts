import { expect, test } from "bun:test";
import * as v from "valibot";
import { processMetrics } from "#observe/metrics.ts";
import { dashboardPath } from "../../tools/render-manifests.ts";
import { manualClock } from "../support/manual-clock.ts";

const dashboard = await Bun.file(dashboardPath).text();
const { panels } = v.parse(
  v.object({
    panels: v.array(
      v.object({
        id: v.number(),
        title: v.string(),
        targets: v.optional(v.array(v.object({ expr: v.string() }))),
      }),
    ),
  }),
  JSON.parse(dashboard),
);

async function exportedNames(): Promise<readonly string[]> {
  const metrics = processMetrics({
    clock: manualClock(),
    version: "0.0.0",
    revision: "test",
    isFresh: () => true,
    node: {
      devices: () => [],
      energyJoules: () => undefined,
      sampling: () => ({ collections: 0, faults: 0, skipped: 0 }),
    },
  });
  const text = await metrics.text();
  metrics.stop();
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name);
}

test("every metric that the dashboard shows is one that the process exports", async () => {
  const shown = new Set(dashboard.match(/keda_gpu_scaler_\w+/g));
  const exported = await exportedNames();
  const unknown = [...shown].filter((name) => !exported.includes(name.replace(/_bucket$/, "")));
  expect(shown.size).toBeGreaterThan(10);
  expect(unknown).toEqual([]);
});

test("every panel with a title of its own asks for something", () => {
  const ids = panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const asking = panels.filter(({ targets = [] }) => targets.length > 0);
  for (const { targets = [] } of asking)
    for (const { expr } of targets) expect(expr).toContain("keda_gpu_scaler_");
  expect(asking.length).toBeGreaterThanOrEqual(15);
});
