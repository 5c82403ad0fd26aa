/**
 * The inference engines, and what stands in front of them, by the names that triggers use: what must
 * be known of one before it is asked anything.
 *
 * @module
 */

/**
 * A condition on one label of a metrics page. A label that a series lacks is the empty text. `value`
 * is a pattern for `=~` and `!~`.
 */
export interface LabelMatcher {
  readonly label: string;
  readonly op: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

/** What a trigger names of a page: a series, or one for each of another. */
export interface NamedSeries {
  /** As the page spells it. */
  readonly metric: string;
  /** What `metric` is divided by, once the series of each are one value. */
  readonly denominator?: string | undefined;
}

/** As the trigger has it. */
export function seriesText({ metric, denominator }: NamedSeries): string {
  return denominator === undefined ? metric : `${metric} / ${denominator}`;
}

/** What a series that a trigger names may be, where its page does not say it. */
export const seriesKinds = ["gauge", "counter", "histogram"] as const;
export type SeriesKind = (typeof seriesKinds)[number];

/** Quantiles that a histogram of a page can be asked for. */
export const seriesQuantiles = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 } as const;
type QuantileName = keyof typeof seriesQuantiles;

/** Ways for several series of one page to become one value. */
export const seriesReducers = ["sum", "mean", "max", "p50", "p90", "p95", "p99"] as const;
export type SeriesReducer = (typeof seriesReducers)[number];

export function isQuantile(reduce: SeriesReducer): reduce is QuantileName {
  return Object.hasOwn(seriesQuantiles, reduce);
}

/** Ways for the values that a JSON page has to become one; `count` counts them, whatever they are. */
export const jsonReducers = ["sum", "mean", "max", "count"] as const;
export type JsonReducer = (typeof jsonReducers)[number];

/** A number of a page in JSON. */
export interface JsonMetric {
  /** A query of RFC 9535. */
  readonly path: string;
  readonly reduce: JsonReducer;
}

export interface EngineFacts {
  /** It stands in front of engines, is there at 0 replicas, and so can wake them. */
  readonly isFrontEnd: boolean;
  /** Labels of which each must be chosen, because its page is about other workloads too. */
  readonly sharedBy: readonly string[];
}

const inPods: EngineFacts = { isFrontEnd: false, sharedBy: [] };
const frontEnd: EngineFacts = { isFrontEnd: true, sharedBy: [] };

const engines = {
  "dynamo-frontend": frontEnd,
  "dynamo-worker": inPods,
  epp: frontEnd,
  "http-add-on": { isFrontEnd: true, sharedBy: ["route_name", "route_namespace"] },
  json: frontEnd,
  litellm: frontEnd,
  "llama.cpp": inPods,
  lmdeploy: inPods,
  nim: inPods,
  ollama: inPods,
  prometheus: frontEnd,
  "ray-serve": inPods,
  sglang: inPods,
  tei: inPods,
  tgi: inPods,
  triton: inPods,
  trtllm: inPods,
  vllm: inPods,
  "vllm-router": frontEnd,
} as const satisfies Record<string, EngineFacts>;

export type EngineName = keyof typeof engines;
export const engineNames = Object.keys(engines) as EngineName[];

export function engineFacts(name: EngineName): EngineFacts {
  return engines[name];
}
