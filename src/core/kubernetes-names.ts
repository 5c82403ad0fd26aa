/**
 * What Kubernetes accepts as names. A call or a flag brings any text, and these rules bound what is
 * remembered by it and what becomes part of a path.
 *
 * @module
 */
import { labelCharsMax, objectNameCharsMax } from "./limits.ts";

/** Whether a namespace or a Service can have this name. */
export function isLabel(text: string): boolean {
  return text.length <= labelCharsMax && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
}

/** Whether most objects can, nodes and ScaledObjects among them: labels with dots between. */
export function isObjectName(text: string): boolean {
  if (text.length > objectNameCharsMax) return false;
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text);
}
