/**
 * The engines and gateways there are, and how to tell them apart by their page.
 *
 * @module
 */
import type { Adapter } from "./adapter.ts";
import { dynamoFrontend, dynamoWorker } from "./dynamo.ts";
import { epp } from "./epp.ts";
import { httpAddOn } from "./http-add-on.ts";
import { json } from "./json.ts";
import { litellm } from "./litellm.ts";
import { llamaCpp } from "./llama-cpp.ts";
import { lmdeploy } from "./lmdeploy.ts";
import { nim } from "./nim.ts";
import { ollama } from "./ollama.ts";
import { prometheus } from "./prometheus.ts";
import { rayServe } from "./ray-serve.ts";
import { sglang } from "./sglang.ts";
import { tei } from "./tei.ts";
import { tgi } from "./tgi.ts";
import { triton } from "./triton.ts";
import { trtllm } from "./trtllm.ts";
import { vllm } from "./vllm.ts";
import { vllmRouter } from "./vllm-router.ts";

/** Those whose page has others' names too come before the others. */
const detectable = [
  triton,
  dynamoWorker,
  dynamoFrontend,
  rayServe,
  vllmRouter,
  vllm,
  sglang,
  trtllm,
  tgi,
  tei,
  lmdeploy,
  llamaCpp,
  litellm,
  epp,
  httpAddOn,
  nim,
  ollama,
] as const satisfies readonly Adapter[];

export const adapters: readonly Adapter[] = [...detectable, prometheus, json];

export function adapterOf(engine: string): Adapter | undefined {
  return adapters.find((adapter) => adapter.engine === engine);
}

/**
 * Whose page it is.
 *
 * @param names Metric names as the page spells them.
 */
export function detectEngine(names: ReadonlySet<string>): Adapter | undefined {
  return detectable.find((adapter) => adapter.owns(names));
}

/** Whose JSON it is; Ollama's before the interceptor's, which any object of objects looks like. */
export function detectJson(page: unknown): Adapter | undefined {
  return [ollama, httpAddOn].find(({ fromJson }) => fromJson?.(page) !== undefined);
}
