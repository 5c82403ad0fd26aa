/**
 * Server-side apply of annotations and of fields beside the metadata: each annotation belongs to
 * whoever set it last, and an apply without force changes none that is another's.
 *
 * Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
 *
 * @module
 */
import type { KubernetesObject } from "./kinds.ts";

type Metadata = KubernetesObject["metadata"];

/** @returns The object as it is afterwards, or why it cannot be applied. */
export function applied(
  object: KubernetesObject,
  { metadata: fields, ...rest }: KubernetesObject,
  manager: string,
): KubernetesObject | { readonly conflict: string } {
  const { metadata } = object;
  if (fields.uid !== undefined && fields.uid !== metadata.uid)
    return { conflict: `uid mismatch: the provided object specified uid ${fields.uid}` };
  const wanted = fields.annotations ?? {};
  const own = ownedBy(metadata, manager);
  const taken = Object.entries(wanted).filter(
    ([key, value]) => (metadata.annotations?.[key] ?? value) !== value && !own.includes(key),
  );
  if (taken.length > 0)
    return { conflict: `Apply failed with 1 conflict: .metadata.annotations.${taken[0]?.[0]}` };
  const annotations = Object.fromEntries(Object.keys(wanted).map((key) => [`f:${key}`, {}]));
  const others = (metadata.managedFields ?? []).filter((entry) => entry.manager !== manager);
  const entry = {
    manager,
    operation: "Apply",
    fieldsV1: { "f:metadata": { "f:annotations": annotations } },
  };
  return {
    ...object,
    ...rest,
    metadata: {
      ...metadata,
      annotations: { ...metadata.annotations, ...wanted },
      managedFields: [...others, entry],
    },
  };
}

function ownedBy({ managedFields = [] }: Metadata, manager: string): readonly string[] {
  return managedFields
    .filter((entry) => entry.manager === manager)
    .flatMap(({ fieldsV1 }) => {
      const { "f:metadata": metadata } = fieldsV1 as {
        "f:metadata"?: { "f:annotations"?: object };
      };
      return Object.keys(metadata?.["f:annotations"] ?? {}).map((key) => key.replace("f:", ""));
    });
}

/** Why the API server takes no such event; `undefined` when it does. */
export function eventProblem({ metadata, involvedObject, message, ...event }: KubernetesObject) {
  const about = involvedObject as
    | { readonly namespace?: string; readonly uid?: string }
    | undefined;
  if (about?.namespace !== metadata.namespace) return "involvedObject.namespace: does not match";
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(metadata.name) || metadata.name.length > 253)
    return `metadata.name: ${metadata.name} is no DNS subdomain`;
  if (Buffer.byteLength(`${message}`) > 1_024) return "message: can have at most 1024 bytes";
  const times = [event["firstTimestamp"], event["lastTimestamp"]];
  if (times.some((time) => !/^[-\d]{10}T[:\d]{8}Z$/.test(`${time}`)))
    return "a time is no RFC 3339";
  return undefined;
}
