/**
 * Events of the core API, as `kubectl describe` shows them with the object that they are about.
 *
 * An event has the same name whoever writes it, and is applied: replicas that see the same write one
 * event, and what is said again changes it. That takes the rights to create and to patch events.
 *
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 *
 * @module
 */
import { digest } from "#core/digest.ts";
import { eventMessageBytesMax, objectNameCharsMax } from "#core/limits.ts";
import { fieldManager } from "./client.ts";

/** What an event is about. */
export interface EventObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface ObjectEvent {
  readonly object: EventObject;
  readonly type: "Normal" | "Warning";
  /** One word, in CamelCase. */
  readonly reason: string;
  /** Tells the events of one reason and object apart. */
  readonly topic: string;
  readonly message: string;
  /** How often it has been said. */
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** Where an event is applied, and its fields. */
export function eventWrite({ object, topic, ...event }: ObjectEvent): {
  readonly path: string;
  readonly fields: object;
} {
  const { namespace, uid } = object;
  const name = eventName(object.name, JSON.stringify([uid, event.reason, topic]));
  return {
    path: `/api/v1/namespaces/${namespace}/events/${name}`,
    fields: {
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace, name },
      involvedObject: object,
      type: event.type,
      reason: event.reason,
      message: cutToBytes(event.message, eventMessageBytesMax),
      count: event.count,
      firstTimestamp: timestamp(event.firstAtMs),
      lastTimestamp: timestamp(event.lastAtMs),
      source: { component: fieldManager },
      reportingComponent: fieldManager,
    },
  };
}

/** As other controllers name theirs: the object, a dot and a number in hexadecimal. */
function eventName(objectName: string, identity: string): string {
  const number = Buffer.from(digest(identity), "base64url").toString("hex").slice(0, 16);
  const head = objectName.slice(0, objectNameCharsMax - number.length - 1);
  return `${head.replace(/[^a-z0-9]+$/, "")}.${number}`;
}

/** The API's times have whole seconds. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function cutToBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  const mark = "…";
  const head = bytes.subarray(0, bytesMax - Buffer.byteLength(mark));
  // A decoder that expects more leaves out the beginning of a character.
  return `${new TextDecoder().decode(head, { stream: true })}${mark}`;
}
