/**
 * The inference engines, and what stands in front of them, by the names that triggers use: what must
 * be known of one before it is asked anything.
 *
 * @module
 */

/** A condition on one label of a metrics page. A label that a series lacks is the empty text. */
export interface LabelMatcher {
  readonly label: string;
  readonly op: "=" | "!=";
  readonly value: string;
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
