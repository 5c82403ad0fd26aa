/**
 * The pods behind any Service that somebody asks about, from its EndpointSlices.
 *
 * A slice tells the ports of the pods, not those of the Service, and the Service itself is not read:
 * with one port there is no question which is meant; of several it is the one with the number that
 * is asked for, so that a Service which maps port numbers is asked for by the pods' own.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { askedForMs, servicesMax } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient } from "./client.ts";
import { addressesOf, type RawSlice } from "./endpoint-slices.ts";
import { type Informer, informer } from "./informer.ts";

/** One pod behind a Service, as it can be asked. */
export interface ServiceEndpoint {
  /** An IP address, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
  /** It serves; one that is going away is left out. */
  readonly ready: boolean;
}

export interface Services {
  /**
   * Looks a Service up, and keeps its endpoints for `askedForMs`.
   *
   * @param port Of the URL.
   * @returns At least one endpoint; each address once, sorted.
   * @throws {Fault} `data-missing` when it is read for the first time or has no endpoint;
   *   `endpoint-refused` when it has several ports and none of that number; `overloaded`.
   */
  readonly endpoints: (
    namespace: string,
    service: string,
    port: number,
  ) => readonly ServiceEndpoint[];
  /** Runs `listener` after every change of a Service that is followed. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly stop: () => void;
}

export interface ServicesOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
}

interface Slice {
  readonly ports: readonly number[];
  readonly addresses: readonly { readonly address: string; readonly ready: boolean }[];
}

interface Kept {
  readonly slices: Informer<Slice>;
  askedAtMs: number;
}

/** How often what is no longer asked for is let go. */
const tidyMs = 60_000;

export function watchServices(options: ServicesOptions): Services {
  const { clock } = options;
  const kept = new Map<string, Kept>();
  const changes = listeners();

  const keep = (namespace: string, service: string): Informer<Slice> => {
    const key = `${namespace}/${service}`;
    const askedAtMs = clock.monotonicMs();
    const earlier = kept.get(key);
    if (earlier !== undefined) {
      earlier.askedAtMs = askedAtMs;
      return earlier.slices;
    }
    if (kept.size >= servicesMax)
      throw new Fault(
        "overloaded",
        `Cannot follow Service ${key}: ${servicesMax} are followed, which is the most; run another ` +
          "keda-gpu-scaler for some of them",
        { limit: servicesMax },
      );
    const slices = informer({
      ...options,
      path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      query: { labelSelector: `kubernetes.io/service-name=${service}` },
      trim: sliceOf,
      changed: changes.notify,
    });
    kept.set(key, { slices, askedAtMs });
    return slices;
  };

  const cancel = clock.every(tidyMs, () => {
    const nowMs = clock.monotonicMs();
    for (const [key, { slices, askedAtMs }] of kept) {
      if (nowMs - askedAtMs <= askedForMs) continue;
      slices.stop();
      kept.delete(key);
    }
  });

  return {
    endpoints: (namespace, service, port) => {
      const slices = keep(namespace, service);
      const name = `Service ${namespace}/${service}`;
      if (!slices.synced()) throw unread(name, slices.failure());
      const found = endpointsIn(name, [...slices.items.values()], port);
      if (found.length === 0) throw empty(name);
      return found;
    },
    subscribe: changes.subscribe,
    stop: () => {
      cancel();
      for (const { slices } of kept.values()) slices.stop();
    },
  };
}

function sliceOf(object: unknown): Slice | undefined {
  const slice = object as RawSlice;
  if (slice.addressType === "FQDN") return undefined;
  const ports = (slice.ports ?? []).flatMap(({ port, protocol = "TCP" }) =>
    port === undefined || protocol !== "TCP" ? [] : [port],
  );
  const addresses = addressesOf(slice).filter(({ terminating }) => !terminating);
  return {
    ports,
    addresses: addresses.map(({ address, serving }) => ({ address, ready: serving })),
  };
}

function endpointsIn(
  name: string,
  slices: readonly Slice[],
  asked: number,
): readonly ServiceEndpoint[] {
  const all = new Map<string, ServiceEndpoint>();
  for (const { ports, addresses } of slices) {
    const port = portIn(name, ports, asked);
    if (port === undefined) continue;
    for (const { address, ready } of addresses)
      if (all.get(address)?.ready !== true) all.set(address, { address, port, ready });
  }
  return [...all.values()].sort((one, other) => (one.address < other.address ? -1 : 1));
}

/** @returns `undefined` for a slice without ports, which a Service without pods has. */
function portIn(name: string, ports: readonly number[], asked: number): number | undefined {
  if (ports.length <= 1) return ports[0];
  if (ports.includes(asked)) return asked;
  throw severalPorts(name, asked, ports);
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

function severalPorts(name: string, asked: number, ports: readonly number[]): Fault {
  const rule = `it has the pods' ports ${ports.join(", ")}, of which none is ${asked}`;
  return new Fault(
    "endpoint-refused",
    `Cannot ask ${name} for metrics: ${rule}; give the pods' port in the URL, not the Service's`,
    { endpoint: `${name}:${asked}`, rule },
  );
}
