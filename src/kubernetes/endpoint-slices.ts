/**
 * EndpointSlices: the addresses behind a Service. It may have several slices, and they may overlap.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient } from "./client.ts";
import { type Informer, informer } from "./informer.ts";

/** One pod behind a Service. */
export interface ServiceEndpoint {
  /** An IP address, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
  readonly nodeName?: string | undefined;
  /** It serves and is not going away. */
  readonly ready: boolean;
}

export interface EndpointWatch {
  /** @returns Each address once, sorted; empty before the first list too: see `synced`. */
  readonly endpoints: () => readonly ServiceEndpoint[];
  readonly synced: () => boolean;
  /** Milliseconds since the API server last confirmed them; infinite before it did. */
  readonly ageMs: () => number;
  readonly stop: () => void;
}

/** What every watch of EndpointSlices needs. */
export interface SliceInformerOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
  readonly namespace: string;
  readonly service: string;
  /** Runs after every change and after every whole list. */
  readonly changed?: () => void;
}

export interface EndpointWatchOptions extends SliceInformerOptions {
  /** Slices without a port of this name are left out; default `grpc`. */
  readonly portName?: string;
}

/** An EndpointSlice as the API server sends it. */
export interface RawSlice {
  readonly addressType?: string;
  readonly ports?: readonly {
    readonly name?: string;
    readonly port?: number;
    readonly protocol?: string;
  }[];
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[];
    readonly nodeName?: string;
    readonly targetRef?: { readonly kind?: string; readonly namespace?: string };
    readonly conditions?: {
      readonly ready?: boolean;
      readonly serving?: boolean;
      readonly terminating?: boolean;
    };
  }[];
}

/**
 * Follows the endpoints of one Service under one of its ports' names. Those that are no pods of its
 * own namespace, as in a slice written by hand, are left out.
 */
export function watchEndpointSlices(options: EndpointWatchOptions): EndpointWatch {
  const { portName = "grpc", namespace, service, log } = options;
  const slices = sliceInformer(options, (slice) => {
    const { own, foreign } = ownEndpoints(slice, namespace);
    if (foreign.length > 0)
      log("warn", "endpoints of a Service are no pods of its namespace, and are left out", {
        namespace,
        service,
        addresses: foreign,
      });
    return endpointsOf({ ...slice, endpoints: own }, portName);
  });
  return {
    endpoints: () => uniqueEndpoints([...slices.items.values()].flat()),
    synced: slices.synced,
    ageMs: slices.ageMs,
    stop: slices.stop,
  };
}

/** A copy of what is kept of one Service's slices; those of host names are left out. */
export function sliceInformer<Item>(
  { client, clock, random, log, namespace, service, changed = () => {} }: SliceInformerOptions,
  transform: (slice: RawSlice) => Item | undefined,
): Informer<Item> {
  return informer({
    client,
    clock,
    random,
    log,
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    query: { labelSelector: `kubernetes.io/service-name=${service}` },
    transform: (object) => {
      const slice = object as RawSlice;
      return slice.addressType === "FQDN" ? undefined : transform(slice);
    },
    changed,
    listed: changed,
  });
}

/** Each address once, sorted; ready where any of its slices says so. */
export function uniqueEndpoints<Endpoint extends ServiceEndpoint>(
  all: readonly Endpoint[],
): readonly Endpoint[] {
  const byAddress = new Map<string, Endpoint>();
  for (const endpoint of all)
    if (byAddress.get(endpoint.address)?.ready !== true) byAddress.set(endpoint.address, endpoint);
  return [...byAddress.values()].sort((one, other) => (one.address < other.address ? -1 : 1));
}

type RawEndpoint = NonNullable<RawSlice["endpoints"]>[number];

function isOwnPod({ targetRef }: RawEndpoint, namespace: string): boolean {
  return targetRef?.kind === "Pod" && targetRef.namespace === namespace;
}

function ownEndpoints({ endpoints = [] }: RawSlice, namespace: string) {
  const { own = [], foreign = [] } = Object.groupBy(endpoints, (endpoint) =>
    isOwnPod(endpoint, namespace) ? "own" : "foreign",
  );
  return { own, foreign: foreign.flatMap(({ addresses = [] }) => addresses) };
}

function endpointsOf(slice: RawSlice, portName: string): readonly ServiceEndpoint[] {
  const port = slice.ports?.find(({ name }) => name === portName)?.port;
  if (port === undefined) return [];
  return addressesOf(slice).map(({ address, nodeName, serving, terminating }) => ({
    address,
    nodeName,
    port,
    ready: serving && !terminating,
  }));
}

/**
 * Every address of a slice, with its pod's state. `serving` is the pod's probe; `ready` of the
 * slice is not, for it is true for every pod of a Service that publishes unready ones.
 */
export function addressesOf({ endpoints = [] }: RawSlice, namespace?: string) {
  return endpoints.flatMap((endpoint) => {
    const { addresses = [], nodeName, conditions = {}, targetRef } = endpoint;
    const isPod = namespace !== undefined && isOwnPod(endpoint, namespace);
    const isForeign = namespace !== undefined && targetRef !== undefined && !isPod;
    const serving = conditions.serving ?? conditions.ready ?? true;
    const terminating = conditions.terminating === true;
    return addresses.map((address) => ({
      address,
      nodeName,
      serving,
      terminating,
      isPod,
      isForeign,
    }));
  });
}
