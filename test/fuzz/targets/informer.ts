/**
 * A list of the Kubernetes API in which an object is not as its kind is: another version of its CRD, an
 * API server behind a proxy. The other tenants' objects must not suffer.
 *
 * @module
 */
import type { KubernetesClient } from "#kubernetes/client.ts";
import { informer } from "#kubernetes/informer.ts";
import { podOf } from "#workload/pod.ts";
import { scaledOf } from "#workload/scaled.ts";
import { podObject } from "../../fake-kubernetes/objects.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { exampleObjects, jsonBytes } from "../corpus.ts";
import { mutateJson } from "../mutate-json.ts";
import { promise, type Target } from "../target.ts";

const before = podObject({ name: "before" });
const after = podObject({ name: "after" });

/** A client with one list, whose watch stays open. */
function clientOf(items: readonly unknown[]): KubernetesClient {
  return {
    get: () => Promise.resolve({ items, metadata: { resourceVersion: "1" } }),
    apply: () => Promise.resolve(),
    watch: async function* (_path, _query, { signal }) {
      const aborted = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => aborted.resolve());
      await aborted.promise;
      yield* [];
    },
  };
}

export const informerTarget: Target = {
  name: "informer",
  testInputs: 300,
  share: 60_000,
  inFlight: 32,
  corpus: () => [...exampleObjects(), before].map(jsonBytes),
  mutate: mutateJson([
    "spec",
    "metadata",
    "status",
    "triggers",
    "containers",
    "conditions",
    "name",
  ]),
  run: async (input) => {
    const object = objectIn(input);
    if (object === undefined) return "no object";
    const { promise: isListed, resolve: listed } = Promise.withResolvers<void>();
    const events: string[] = [];
    const pods = informer({
      client: clientOf([before, object, after]),
      path: "/api/v1/pods",
      clock: manualClock(),
      random: () => 0,
      log: (_level, event, facts) => {
        events.push(`${event} ${facts?.["why"]}`);
        if (event === "kubernetes failed") listed();
      },
      transform: (one) => {
        scaledOf("ScaledObject", one);
        return podOf(one);
      },
      changed: () => undefined,
      listed,
    });
    await isListed;
    pods.stop();
    const names = [...pods.items.values()].map(({ name }) => name);
    for (const name of ["before", "after"])
      promise(names.includes(name), () => `${name} is kept: ${names}; ${events}`);
    return `${names.length} ${events}`.slice(0, 100);
  },
};

/** An object as every API server names it; without that nothing can be kept of any. */
function objectIn(input: Buffer): object | undefined {
  try {
    const object = JSON.parse(input.toString());
    const isNamed = typeof object?.metadata === "object" && object.metadata !== null;
    return isNamed && !["before", "after"].includes(object.metadata.name) ? object : undefined;
  } catch {
    // No JSON: the client refuses the whole answer.
    return undefined;
  }
}
