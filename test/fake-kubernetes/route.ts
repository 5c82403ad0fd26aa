import { applied, eventProblem } from "./apply.ts";
import { apiVersionOf, type Kind, type KubernetesObject } from "./kinds.ts";
import { statusObject } from "./status.ts";
import type { ObjectStore } from "./store.ts";
import type { WatchRequest } from "./watches.ts";

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly body: unknown;
  /** How a version that is gone is answered. */
  readonly expired: "event" | "status";
}

export type Routed =
  | { readonly type: "json"; readonly status: number; readonly content: unknown }
  | { readonly type: "watch"; readonly watch: WatchRequest };

/** Answers one request from the store, as the API server's handlers do. */
export function route(store: ObjectStore, asked: Asked): Routed {
  const path = asked.url.pathname;
  const discovered = discovery(store.kinds, path);
  if (discovered !== undefined) return json(200, discovered);

  const target = targetOf(store.kinds, path);
  if (target === undefined)
    return json(404, statusObject(404, `the server could not find ${path}`, "NotFound"));
  const { kind, namespace, name, subresource } = target;
  if (name === undefined) return collection(store, asked, kind, namespace);
  if (asked.method === "PUT") return json(200, store.apply(asked.body as KubernetesObject));
  if (asked.method === "DELETE")
    store.remove({ kind: kind.kind, namespace: namespace ?? "", name });

  const object = store.find(kind, namespace ?? "", name);
  if (asked.method === "PATCH") return patch(store, asked, object);
  if (object === undefined)
    return json(404, statusObject(404, `${kind.resource} "${name}" not found`, "NotFound"));
  if (subresource === undefined) return json(200, object);
  if (subresource !== "scale" || kind.scaleSelector === undefined)
    return json(404, statusObject(404, "the server could not find the resource", "NotFound"));
  return json(200, scaleOf(kind.scaleSelector(object), object));
}

function json(status: number, content: unknown): Routed {
  return { type: "json", status, content };
}

/**
 * Applies fields. The real server creates an object that is not there, but not where its uid was
 * specified, as it is of a pod: here that is not found.
 */
function patch(
  store: ObjectStore,
  { url, body }: Asked,
  object: KubernetesObject | undefined,
): Routed {
  const manager = url.searchParams.get("fieldManager");
  if (manager === null)
    return json(400, statusObject(400, "fieldManager is required for apply patch", "BadRequest"));
  const fields = body as KubernetesObject;
  const problem = fields.kind === "Event" ? eventProblem(fields) : undefined;
  if (problem !== undefined) return json(422, statusObject(422, problem, "Invalid"));
  if (object === undefined && fields.kind === "Event") return json(201, store.apply(fields));
  if (object === undefined)
    return json(404, statusObject(404, `${url.pathname} not found`, "NotFound"));
  if (fields.apiVersion !== object.apiVersion || fields.kind !== object.kind)
    return json(400, statusObject(400, "the object is of another kind", "BadRequest"));
  const result = applied(object, fields, manager);
  return "conflict" in result
    ? json(409, statusObject(409, result.conflict as string, "Conflict"))
    : json(200, store.apply(result));
}

function collection(
  store: ObjectStore,
  { method, url: { searchParams: query }, body, expired }: Asked,
  kind: Kind,
  namespace: string | undefined,
): Routed {
  if (method === "POST") return json(201, store.apply(body as KubernetesObject));
  const matches = labelMatcher(query.get("labelSelector") ?? "");
  if (query.get("watch") !== "1" && query.get("watch") !== "true")
    return list(store, kind, namespace, query, matches);

  const version = Number(query.get("resourceVersion") ?? store.version());
  const gone = version < store.compactedVersion();
  if (gone && expired === "status")
    return json(410, statusObject(410, "too old resource version", "Expired"));
  const timeout = query.get("timeoutSeconds");
  return {
    type: "watch",
    watch: {
      kind,
      version,
      matches,
      expired: gone,
      bookmarks: query.get("allowWatchBookmarks") === "true",
      ...(namespace === undefined ? {} : { namespace }),
      ...(timeout === null ? {} : { timeoutMs: Number(timeout) * 1_000 }),
    },
  };
}

/** A page ends with a token that carries the first page's version: compaction expires it. */
function list(
  store: ObjectStore,
  kind: Kind,
  namespace: string | undefined,
  query: URLSearchParams,
  matches: (object: KubernetesObject) => boolean,
): Routed {
  const [since, from] = (query.get("continue") ?? `${store.version()}:0`).split(":").map(Number);
  if (since === undefined || from === undefined || since < store.compactedVersion())
    return json(410, statusObject(410, "the continue parameter is too old", "Expired"));
  const limit = Number(query.get("limit") ?? Number.MAX_SAFE_INTEGER);
  const all = store.list(kind, namespace).filter(matches);
  const more = from + limit < all.length ? `${since}:${from + limit}` : "";
  return json(200, {
    kind: `${kind.kind}List`,
    apiVersion: apiVersionOf(kind),
    metadata: { resourceVersion: `${since}`, ...(more === "" ? {} : { continue: more }) },
    // Items of a list carry neither kind nor apiVersion in the real server.
    items: all.slice(from, from + limit).map(({ kind: _kind, apiVersion: _api, ...item }) => item),
  });
}

function scaleOf(selector: string | undefined, { metadata, spec, status }: KubernetesObject) {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion },
    spec: { replicas: spec?.replicas ?? 1 },
    status: {
      replicas: status?.replicas ?? 0,
      ...(selector === undefined ? {} : { selector }),
    },
  };
}

/** Equality terms only: nothing here asks a server for more. */
function labelMatcher(selector: string): (object: KubernetesObject) => boolean {
  const terms = selector.split(",").filter((term) => term !== "");
  return ({ metadata }) =>
    terms.every((term) => {
      const [key = "", value] = term.split("=");
      return metadata.labels?.[key] === value;
    });
}

interface Target {
  readonly kind: Kind;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

function targetOf(kinds: readonly Kind[], path: string): Target | undefined {
  const match =
    /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>[^/]+)(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<resource>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/.exec(
      path,
    );
  const { group = "", version, namespace, resource, name, subresource } = match?.groups ?? {};
  const kind = kinds.find(
    (known) => known.group === group && known.version === version && known.resource === resource,
  );
  if (kind === undefined) return undefined;
  return {
    kind,
    ...(namespace === undefined ? {} : { namespace: decodeURIComponent(namespace) }),
    ...(name === undefined ? {} : { name: decodeURIComponent(name) }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

/** One version a group is all that these clusters have. */
function discovery(kinds: readonly Kind[], path: string): unknown {
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (path === "/apis") {
    const groups = Map.groupBy(
      kinds.filter(({ group }) => group !== ""),
      ({ group }) => group,
    );
    return {
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: [...groups].map(([name, [first]]) => {
        const preferredVersion = {
          groupVersion: first === undefined ? "" : apiVersionOf(first),
          version: first?.version,
        };
        return { name, versions: [preferredVersion], preferredVersion };
      }),
    };
  }
  const groupVersion = path.replace(/^\/apis?\//, "");
  const members = kinds.filter((kind) => apiVersionOf(kind) === groupVersion);
  if (members.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion,
    resources: members.flatMap(({ kind, resource, scaleSelector }) => [
      { name: resource, kind, namespaced: true, verbs: ["get", "list", "watch"] },
      ...(scaleSelector === undefined
        ? []
        : [{ name: `${resource}/scale`, kind: "Scale", namespaced: true, verbs: ["get"] }]),
    ]),
  };
}
