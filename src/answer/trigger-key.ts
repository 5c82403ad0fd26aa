import { digest } from "#core/digest.ts";
import type { WorkloadRef } from "./answer.ts";

/** One short text for each trigger: its object and its metadata, whatever their order. */
export function triggerKey({ namespace, name, scalerMetadata }: WorkloadRef): string {
  return digest(JSON.stringify([namespace, name, Object.entries(scalerMetadata).sort()]));
}

/** Of what a caller can make long; names are short. */
export function metadataBytes({ scalerMetadata }: WorkloadRef): number {
  const texts = Object.entries(scalerMetadata).flat();
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
