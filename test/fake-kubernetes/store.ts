import { apiVersionOf, type Kind, type KubernetesObject } from "./kinds.ts";

export type WatchType = "ADDED" | "MODIFIED" | "DELETED";

export interface StoredEvent {
  readonly type: WatchType;
  readonly version: number;
  readonly kind: Kind;
  readonly object: KubernetesObject;
}

/** Names one object. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/**
 * Objects, and the history that a watch replays: etcd's part of an API server.
 *
 * One counter of versions for all kinds, as etcd has. History older than `compact()` is gone.
 */
export interface ObjectStore {
  readonly version: () => number;
  /** The version up to which history is gone. */
  readonly compactedVersion: () => number;
  readonly kinds: readonly Kind[];
  /** Creates the object, or replaces it; `uid`, `resourceVersion` and `generation` are set. */
  readonly apply: (object: KubernetesObject) => KubernetesObject;
  /** @returns false when there was none. */
  readonly remove: (ref: ObjectRef) => boolean;
  readonly find: (kind: Kind, namespace: string, name: string) => KubernetesObject | undefined;
  readonly list: (kind: Kind, namespace?: string) => readonly KubernetesObject[];
  /** Events of a kind after `version`, oldest first. */
  readonly since: (kind: Kind, version: number) => readonly StoredEvent[];
  readonly compact: () => void;
  readonly subscribe: (listener: (event: StoredEvent) => void) => () => void;
}

export function objectStore(kinds: readonly Kind[]): ObjectStore {
  const objects = new Map<string, KubernetesObject>();
  const listeners = new Set<(event: StoredEvent) => void>();
  let history: StoredEvent[] = [];
  let version = 1;
  let compactedVersion = 0;

  const kindOf = (apiVersion: string | undefined, name: string): Kind => {
    const found = kinds.find(
      (kind) =>
        kind.kind === name && (apiVersion === undefined || apiVersionOf(kind) === apiVersion),
    );
    if (found === undefined) throw new Error(`This cluster has no kind ${apiVersion} ${name}`);
    return found;
  };
  const keyOf = (kind: Kind, namespace: string, name: string) =>
    `${kind.group}/${kind.resource}/${namespace}/${name}`;
  const emit = (type: WatchType, kind: Kind, object: KubernetesObject) => {
    const event = { type, version, kind, object };
    history.push(event);
    for (const listener of [...listeners]) listener(event);
  };

  return {
    version: () => version,
    compactedVersion: () => compactedVersion,
    kinds,
    apply: (object) => {
      const kind = kindOf(object.apiVersion, object.kind);
      const key = keyOf(kind, object.metadata.namespace, object.metadata.name);
      const earlier = objects.get(key)?.metadata;
      version += 1;
      const stored = {
        ...object,
        metadata: {
          ...object.metadata,
          uid: object.metadata.uid ?? earlier?.uid ?? crypto.randomUUID(),
          creationTimestamp: earlier?.creationTimestamp ?? new Date().toISOString(),
          generation: (earlier?.generation ?? 0) + 1,
          resourceVersion: `${version}`,
        },
      };
      objects.set(key, stored);
      emit(earlier === undefined ? "ADDED" : "MODIFIED", kind, stored);
      return stored;
    },
    remove: ({ kind: kindName, namespace, name }) => {
      const kind = kindOf(undefined, kindName);
      const key = keyOf(kind, namespace, name);
      const last = objects.get(key);
      if (last === undefined) return false;
      objects.delete(key);
      version += 1;
      emit("DELETED", kind, {
        ...last,
        metadata: { ...last.metadata, resourceVersion: `${version}` },
      });
      return true;
    },
    find: (kind, namespace, name) => objects.get(keyOf(kind, namespace, name)),
    list: (kind, namespace) => {
      const prefix = `${kind.group}/${kind.resource}/${namespace === undefined ? "" : `${namespace}/`}`;
      return [...objects]
        .filter(([key]) => key.startsWith(prefix))
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([, object]) => object);
    },
    since: (kind, after) => history.filter((event) => event.kind === kind && event.version > after),
    compact: () => {
      version += 1;
      compactedVersion = version;
      history = [];
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
