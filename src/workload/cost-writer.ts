/**
 * Writes deletion costs into pods, and never over one that somebody else has set.
 *
 * A write that fails changes no answer.
 *
 * @module
 */
import {
  type ObjectWriter,
  type ObjectWriterOptions,
  objectWriter,
} from "#kubernetes/object-writer.ts";
import { deletionCostAnnotation } from "./deletion-cost.ts";
import type { Pod } from "./pod.ts";

export interface CostWriter extends Omit<ObjectWriter, "write"> {
  readonly write: (pod: Pick<Pod, "namespace" | "name" | "uid">, cost: number) => Promise<void>;
}

export function costWriter(options: Omit<ObjectWriterOptions, "failureEvent">): CostWriter {
  const failureEvent = "deletion costs cannot be written";
  const { write, ...writer } = objectWriter({ ...options, failureEvent });
  return {
    ...writer,
    write: async ({ namespace, name, uid }, cost) => {
      const annotations = { [deletionCostAnnotation]: `${cost}` };
      const metadata = { namespace, name, uid, annotations };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      await write(path, { apiVersion: "v1", kind: "Pod", metadata });
    },
  };
}
