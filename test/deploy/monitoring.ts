/**
 * The chart's dashboards and alerts, as Grafana and Prometheus read them.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { chartPath } from "../../tools/render-manifests.ts";
import { alertRule } from "./kinds.ts";

const Dashboard = v.object({
  uid: v.string(),
  templating: v.object({
    list: v.array(
      v.object({ name: v.string(), type: v.string(), definition: v.optional(v.string()) }),
    ),
  }),
  panels: v.array(
    v.object({
      id: v.number(),
      type: v.string(),
      title: v.string(),
      gridPos: v.object({ h: v.number(), w: v.number(), x: v.number(), y: v.number() }),
      targets: v.optional(v.array(v.object({ refId: v.string(), expr: v.string() })), []),
    }),
  ),
});

export type Dashboard = v.InferOutput<typeof Dashboard> & { readonly file: string };

const Rules = v.object({
  groups: v.tuple([v.object({ name: v.string(), rules: v.array(alertRule) })]),
});

export const rulesPath = join(chartPath, "rules", "alerts.yaml");

export async function dashboards(): Promise<readonly Dashboard[]> {
  const folder = join(chartPath, "dashboards");
  const files = [...new Bun.Glob("*.json").scanSync({ cwd: folder })].toSorted();
  return Promise.all(
    files.map(async (file) => ({
      file,
      ...v.parse(Dashboard, await Bun.file(join(folder, file)).json()),
    })),
  );
}

export async function alertRules() {
  const text = await Bun.file(rulesPath).text();
  const { groups } = v.parse(Rules, Bun.YAML.parse(text));
  return groups[0].rules;
}
