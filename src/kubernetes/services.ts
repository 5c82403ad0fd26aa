/**
 * The pods behind any Service that a URL names, from its EndpointSlices.
 *
 * A slice lists the ports of the pods, not those of the Service, and the Service itself is not read:
 * where there is one port, it is meant; of several it is the one with the URL's number, so the URL of
 * a Service that maps port numbers has to give the pods' own.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { hostPort } from "#core/host-port.ts";
import { askedForMs, listedNamesMax, resyncMs, servicesMax, servicesShare } from "#core/limits.ts";
import { type Listeners, listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient } from "./client.ts";
import {
  addressesOf,
  type RawSlice,
  type ServiceEndpoint,
  sliceInformer,
  uniqueEndpoints,
} from "./endpoint-slices.ts";
import type { Informer } from "./informer.ts";

export interface Services {
  /**
   * Looks a Service up, and follows its endpoints for `askedForMs` from now on.
   *
   * @param port Of the URL.
   * @param isAllowed Which endpoints may be asked; the others count as if they were not there.
   * @returns At least one endpoint, without those that are going away; each address once, sorted.
   * @throws {Fault} `data-missing` when it is read for the first time or has no endpoint;
   *   `endpoint-refused` when it has several ports and none of that number; `overloaded`.
   */
  readonly endpoints: (
    namespace: string,
    service: string,
    port: number,
    isAllowed?: (endpoint: NamedEndpoint) => boolean,
  ) => readonly NamedEndpoint[];
  /** Runs `listener` after every change of a Service that is followed. */
  readonly subscribe: Listeners["subscribe"];
  readonly stop: () => void;
}

export interface ServicesOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
}

/** One address behind a Service that a URL names. */
export interface NamedEndpoint extends ServiceEndpoint {
  /** Whether the slice says that it is a pod of the Service's namespace; else somebody wrote it there. */
  readonly isPod: boolean;
}

interface PortsAndAddresses {
  readonly ports: readonly number[];
  readonly addresses: readonly Pick<NamedEndpoint, "address" | "ready" | "isPod">[];
}

interface FollowedService {
  readonly slices: Informer<PortsAndAddresses>;
  usedAtMs: number;
}

export function watchServices(options: ServicesOptions): Services {
  const { clock } = options;
  const followed = new Map<string, FollowedService>();
  const changes = listeners();

  const slicesOf = (namespace: string, service: string): Informer<PortsAndAddresses> => {
    const key = `${namespace}/${service}`;
    const usedAtMs = clock.monotonicMs();
    const known = followed.get(key);
    if (known !== undefined) {
      known.usedAtMs = usedAtMs;
      return known.slices;
    }
    if (followed.size >= servicesMax) throw tooMany(key);
    const ofNamespace = [...followed.keys()].filter((one) => one.startsWith(`${namespace}/`));
    if (ofNamespace.length >= servicesShare) throw shareUsed(key, namespace);
    const changed = changes.notify;
    const slices = sliceInformer({ ...options, namespace, service, changed }, (slice) =>
      portsAndAddresses(slice, namespace),
    );
    followed.set(key, { slices, usedAtMs });
    return slices;
  };

  const cancel = clock.every(resyncMs, () => {
    const nowMs = clock.monotonicMs();
    for (const [key, { slices, usedAtMs }] of followed) {
      if (nowMs - usedAtMs <= askedForMs) continue;
      slices.stop();
      followed.delete(key);
    }
  });

  return {
    endpoints: (namespace, service, port, isAllowed = () => true) => {
      const slices = slicesOf(namespace, service);
      const name = `Service ${namespace}/${service}`;
      if (!slices.synced()) throw unread(name, slices.failure());
      const all = uniqueEndpoints(
        [...slices.items.values()].flatMap((slice) => endpointsAt(name, slice, port)),
      );
      if (all.length === 0) throw empty(name);
      const endpoints = all.filter(isAllowed);
      if (endpoints.length === 0) throw noPods(name, all);
      return endpoints;
    },
    subscribe: changes.subscribe,
    stop: () => {
      cancel();
      for (const { slices } of followed.values()) slices.stop();
    },
  };
}

/** An endpoint that is said to be another namespace's pod, or no pod at all, is left out. */
function portsAndAddresses(slice: RawSlice, namespace: string): PortsAndAddresses {
  return {
    ports: (slice.ports ?? []).flatMap(({ port, protocol = "TCP" }) =>
      port === undefined || protocol !== "TCP" ? [] : [port],
    ),
    addresses: addressesOf(slice, namespace)
      .filter(({ terminating, isForeign }) => !(terminating || isForeign))
      .map(({ address, serving, isPod }) => ({ address, isPod, ready: serving })),
  };
}

/** None of a slice without ports, which a Service without pods has. */
function endpointsAt(
  name: string,
  { ports, addresses }: PortsAndAddresses,
  requestedPort: number,
): readonly NamedEndpoint[] {
  const [first, ...more] = ports;
  if (first === undefined) return [];
  if (more.length > 0 && !ports.includes(requestedPort))
    throw severalPorts(name, requestedPort, ports);
  const port = more.length === 0 ? first : requestedPort;
  return addresses.map((address) => ({ ...address, port }));
}

function tooMany(key: string): Fault {
  return new Fault(
    "overloaded",
    `Cannot follow Service ${key}: ${servicesMax} are followed, which is the most; run another ` +
      "keda-gpu-scaler for some of them",
    { limit: servicesMax },
  );
}

function shareUsed(key: string, namespace: string): Fault {
  return new Fault(
    "overloaded",
    `Cannot follow Service ${key}: ${servicesShare} of namespace ${namespace} are followed, which is ` +
      "its share; name fewer Services in the endpoints of its triggers",
    { limit: servicesShare },
  );
}

function unread(name: string, failure?: Fault): Fault {
  const why = failure === undefined ? "" : ` (${failure.message})`;
  return new Fault(
    "data-missing",
    `Cannot ask ${name} for metrics: its endpoints are not read yet${why}; ask again in a moment`,
    { known: 0, missing: [name] },
    failure,
  );
}

function empty(name: string): Fault {
  return new Fault(
    "data-missing",
    `Cannot ask ${name} for metrics: it has no endpoints; check the name, and that what stands ` +
      "behind it runs",
    { known: 0, missing: [name] },
  );
}

function noPods(name: string, all: readonly NamedEndpoint[]): Fault {
  const addresses = all.map(({ address, port }) => hostPort({ address, port }));
  const rule = `its endpoints ${addresses.slice(0, listedNamesMax).join(", ")} are no pods`;
  return new Fault(
    "endpoint-refused",
    `Cannot ask ${name} for metrics: ${rule}; have the operator name them in --allow-endpoint`,
    { endpoint: name, rule },
  );
}

function severalPorts(name: string, port: number, ports: readonly number[]): Fault {
  const rule = `it has the pods' ports ${ports.join(", ")}, of which none is ${port}`;
  return new Fault(
    "endpoint-refused",
    `Cannot ask ${name} for metrics: ${rule}; give the pods' port in the URL, not the Service's`,
    { endpoint: `${name}:${port}`, rule },
  );
}
