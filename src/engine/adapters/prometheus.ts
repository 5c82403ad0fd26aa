import type { Adapter } from "./adapter.ts";

/** Any metrics page, of which the trigger names the metric itself. */
export const prometheus: Adapter = {
  engine: "prometheus",
  title: "a Prometheus page",
  port: 80,
  path: "/metrics",
  otherPaths: [],
  enable: "name the metric with engineMetric",
  checked: {
    versions: "the text format 0.0.4 and OpenMetrics",
    source: "prometheus/docs: docs/instrumenting/exposition_formats.md",
    lacks: "signals of its own: the trigger names a series",
  },
  owns: (names) => names.size > 0,
  signals: {},
};
