import type { Adapter } from "./adapter.ts";

/** Any metrics page, of which the trigger names the metric itself. */
export const prometheus: Adapter = {
  engine: "prometheus",
  title: "a Prometheus page",
  port: 80,
  path: "/metrics",
  otherPaths: [],
  enable: "name the metric with engineMetric",
  owns: (names) => names.size > 0,
  signals: {},
};
