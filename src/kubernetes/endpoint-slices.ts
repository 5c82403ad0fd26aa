import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient } from "./client.ts";
import { informer } from "./informer.ts";

/** One pod behind a Service. */
export interface Endpoint {
  /** An IP address, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
  readonly nodeName?: string;
  /** It serves and is not going away. */
  readonly ready: boolean;
}

export interface EndpointWatch {
  /** @returns Each address once, sorted; empty before the first list too: see `synced`. */
  readonly endpoints: () => readonly Endpoint[];
  readonly synced: () => boolean;
  /** Milliseconds since the API server last confirmed them; infinite before it did. */
  readonly ageMs: () => number;
  readonly stop: () => void;
}

export interface EndpointWatchOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly namespace: string;
  readonly service: string;
  /** Slices without a port of this name are left out; default `grpc`. */
  readonly portName?: string;
  /** Runs after every change and after the first list. */
  readonly changed?: () => void;
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
    readonly conditions?: {
      readonly ready?: boolean;
      readonly serving?: boolean;
      readonly terminating?: boolean;
    };
  }[];
}

/** Follows the EndpointSlices of one Service: a Service may have several, and they may overlap. */
export function watchEndpointSlices(options: EndpointWatchOptions): EndpointWatch {
  const { client, clock, random, log, namespace, service, changed = () => {} } = options;
  const { portName = "grpc" } = options;
  const slices = informer({
    client,
    clock,
    random,
    log,
    changed,
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    query: { labelSelector: `kubernetes.io/service-name=${service}` },
    trim: (object) => endpointsOf(object as RawSlice, portName),
  });
  return {
    endpoints: () => {
      const all = new Map<string, Endpoint>();
      for (const endpoint of [...slices.items.values()].flat()) {
        const earlier = all.get(endpoint.address);
        if (earlier === undefined || !earlier.ready) all.set(endpoint.address, endpoint);
      }
      return [...all.values()].sort((one, other) => (one.address < other.address ? -1 : 1));
    },
    synced: slices.synced,
    ageMs: slices.ageMs,
    stop: slices.stop,
  };
}

/** `ready` is true for every pod of a Service that publishes unready ones; `serving` is the probe. */
function endpointsOf(slice: RawSlice, portName: string): readonly Endpoint[] {
  const port = slice.ports?.find(({ name }) => name === portName)?.port;
  if (port === undefined || slice.addressType === "FQDN") return [];
  return addressesOf(slice).map(({ serving, terminating, ...rest }) => ({
    ...rest,
    port,
    ready: serving && !terminating,
  }));
}

/** Every address of a slice, with its pod's state. */
export function addressesOf({ endpoints = [] }: RawSlice) {
  return endpoints.flatMap(({ addresses = [], nodeName, conditions = {} }) => {
    const serving = conditions.serving ?? conditions.ready ?? true;
    const terminating = conditions.terminating === true;
    return addresses.map((address) => ({
      address,
      serving,
      terminating,
      ...(nodeName === undefined ? {} : { nodeName }),
    }));
  });
}
