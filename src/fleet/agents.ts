/**
 * Where the agents are: a fixed list, or a name that is resolved again and again.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";

/** Where one agent listens. */
export interface AgentEndpoint {
  /** A host name or an IP address, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
  /** When whoever lists it knows. */
  readonly nodeName?: string | undefined;
  /** What its probes say. An agent that is not ready is followed too: its node is still there. */
  readonly ready: boolean;
}

/** Which agents there should be now. */
export interface AgentSource {
  /** `undefined` until the list is known for the first time: an empty list means no agents. */
  readonly list: () => readonly AgentEndpoint[] | undefined;
  /** Runs `listener` after every change; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}

export interface ClosableAgentSource extends AgentSource {
  readonly close: () => void;
}

export interface AgentSourceOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** All addresses of a host name; an empty list when there are none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly refreshMs?: number;
}

/** How long a new node may stay unseen; cluster DNS itself keeps answers for 5 to 30 s. */
const refreshMsDefault = 5_000;
const dnsPrefix = "dns:///";

/**
 * Reads the value of `--agents`.
 *
 * @param text `host:port,…` or `dns:///name:port`.
 * @throws {Fault} `usage-invalid`
 */
export function agentSource(text: string, options: AgentSourceOptions): ClosableAgentSource {
  if (text.startsWith(dnsPrefix))
    return resolvedAgents(endpoint(text.slice(dnsPrefix.length), text), options);
  const endpoints = text.split(",").map((entry) => endpoint(entry.trim(), text));
  return { list: () => endpoints, subscribe: () => () => {}, close: () => {} };
}

const endpointForm = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/;

function endpoint(entry: string, text: string): AgentEndpoint {
  const [, ipv6, host, port] = endpointForm.exec(entry) ?? [];
  const address = ipv6 ?? host;
  if (address !== undefined && Number(port) >= 1 && Number(port) <= 65_535)
    return { address, port: Number(port), ready: true };
  const problem = `--agents: each agent must be host:port with a port from 1 to 65535, got "${entry}"`;
  throw new Fault(
    "usage-invalid",
    `Cannot follow the agents "${text}": ${problem}; write host:port,host:port or dns:///name:port`,
    { problems: [problem] },
  );
}

function resolvedAgents(
  { address: host, port }: AgentEndpoint,
  { clock, log, resolve, refreshMs = refreshMsDefault }: AgentSourceOptions,
): ClosableAgentSource {
  const listeners = new Set<() => void>();
  let endpoints: readonly AgentEndpoint[] | undefined;
  let resolving = false;
  let failing = false;

  async function refresh() {
    if (resolving) return;
    resolving = true;
    try {
      const addresses = [...(await resolve(host))].sort();
      if (failing) log("info", "agents' name resolves again", { host });
      failing = false;
      const before = endpoints?.map(({ address }) => address).join();
      if (before === addresses.join() && endpoints !== undefined) return;
      endpoints = addresses.map((address) => ({ address, port, ready: true }));
      for (const listener of [...listeners]) listener();
    } catch (error) {
      // A resolver in trouble says nothing about nodes: the last list stays.
      if (!failing)
        log("warn", "agents' name does not resolve", {
          problem: `Cannot find the agents: ${host}: ${String(error)}; see whether DNS works`,
        });
      failing = true;
    } finally {
      resolving = false;
    }
  }
  const stop = clock.every(refreshMs, () => void refresh());
  void refresh();
  return {
    list: () => endpoints,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: stop,
  };
}

/** Resolves by the system's own rules (hosts file, search domains), as `resolve` wants it. */
export function systemResolve(
  lookup: (host: string, options: { all: true }) => Promise<readonly { address: string }[]>,
): AgentSourceOptions["resolve"] {
  return async (host) => {
    try {
      const found = await lookup(host, { all: true });
      return found.map(({ address }) => address);
    } catch (error) {
      // A headless Service without pods has no addresses: that is an answer.
      if (error instanceof Error && "code" in error && noAddress.has(String(error.code))) return [];
      throw error;
    }
  };
}
const noAddress = new Set(["ENOTFOUND", "ENODATA"]);
