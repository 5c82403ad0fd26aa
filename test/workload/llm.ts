/**
 * One workload named `llm`: its ScaledObject, its Deployment, its pods.
 *
 * @module
 */

import { startFake } from "../fake-kubernetes/harness.ts";
import {
  type PodOptions,
  podObject,
  scalableObject,
  scaledObject,
} from "../fake-kubernetes/objects.ts";
import { ours, ready, startCluster } from "./harness.ts";

export const secure = { tls: true, token: "first" };
export const labels = { app: "llm" };
export const names = (pods: readonly { readonly name: string }[]) => pods.map(({ name }) => name);
export const llm = (options: Partial<Parameters<typeof scaledObject>[0]> = {}) =>
  scaledObject({ name: "llm", triggers: [{ metadata: ours }], ...options });
export const deployment = (replicas = 1) =>
  scalableObject({ name: "llm", replicas, matchLabels: labels });
export const pod = (options: Partial<PodOptions> = {}) =>
  podObject({ name: "a", labels, ...options });

/** A cluster with the ScaledObject `llm` and these objects, all read. */
export async function cluster(...objects: ReturnType<typeof podObject>[]) {
  const fake = await startFake(secure);
  fake.apply(llm(), deployment(), ...objects);
  const started = await startCluster(fake);
  await ready(started);
  return started;
}
