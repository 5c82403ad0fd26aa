/**
 * Follows every agent that is listed, and keeps the fleet's store true to what they say.
 *
 * A node leaves the store when its agent is no longer listed. An agent that is listed and gives no
 * reports stays, as unavailable: its node's readings are missing, which is not the same as gone.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import type { Fault } from "#core/fault.ts";
import { hostPort } from "#core/host-port.ts";
import {
  agentCheckMs,
  agentSpreadMostMs,
  agentSpreadMs,
  agentsMax as agentsMaxDefault,
  demandSettleMs,
  syncPatienceMs,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { AgentReport } from "#telemetry/report.ts";
import { type WatchAgent, watchAgent } from "#telemetry/watch.ts";
import { type AgentLink, agentLink, type Outage } from "./agent-link.ts";
import type { AgentEndpoint, AgentSource } from "./agents.ts";
import type { ReadingDemand } from "./demand.ts";
import { type NodeOwners, nodeOwners } from "./node-owners.ts";
import { type HeardAgent, silenceLog } from "./silence-log.ts";
import type { FleetStore, UnavailableAgent } from "./view.ts";

export interface FollowOptions {
  readonly agents: AgentSource;
  readonly store: Pick<FleetStore, "put" | "remove" | "setUnavailable">;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1, for the pauses between attempts. */
  readonly random?: () => number;
  /** Absent: in plain text. */
  readonly watch?: WatchAgent | undefined;
  readonly agentsMax?: number;
  readonly demand?: Pick<ReadingDemand, "current" | "subscribe"> | undefined;
}

export interface FleetFollower {
  /**
   * Whether the view is as full as it gets; once true, true for ever. Every agent that was listed at
   * that time had given a report or had been tried for `syncPatienceMs`.
   */
  readonly synced: () => boolean;
  /** Reports that were not believed, since the start. */
  readonly refusedReports: () => number;
  readonly close: () => void;
}

export function followFleet(options: FollowOptions): FleetFollower {
  const { agents, store, clock, log, random = Math.random, watch = watchAgent } = options;
  const { agentsMax = agentsMaxDefault, demand } = options;
  const links = new Map<string, AgentLink>();
  const owners = nodeOwners({ clock, log, onFreed: store.remove });
  let refused: ReadonlyMap<string, UnavailableAgent> = new Map();
  let synced = false;
  const refusals = reportRefusals(log);
  const logSilence = silenceLog(clock, log);

  const unavailable = unavailableAgents(store, clock, () => [
    ...[...links.values()].flatMap((link) => outageOf(link, owners)),
    ...refused.values(),
  ]);
  const open = (endpoint: AgentEndpoint, spreadMs: number) => {
    const link: AgentLink = agentLink({
      endpoint,
      clock,
      random,
      watch,
      firstPauseMs: random() * spreadMs,
      demanded: demand?.current ?? (() => []),
      onReport: (latest) => {
        if (owners.accept(link, latest)) store.put(latest.report);
        unavailable.reported(hostPort(endpoint));
      },
      onRefused: (fault) => refusals.add(endpoint, fault),
    });
    return link;
  };
  const relist = () => {
    const listed = new Map(agents.list()?.map((endpoint) => [keyOf(endpoint), endpoint]));
    for (const [key, link] of links) {
      if (listed.has(key)) continue;
      link.close();
      links.delete(key);
      owners.forget(link);
    }
    const fresh = [...listed].filter(([key]) => !links.has(key));
    const room = agentsMax - links.size;
    const spreadMs = Math.min(fresh.length * agentSpreadMs, agentSpreadMostMs);
    for (const [key, endpoint] of fresh.slice(0, room)) links.set(key, open(endpoint, spreadMs));
    refused = refusedAgents(fresh.slice(room), refused, { agentsMax, clock, log });
    unavailable.publish();
  };
  const stopChecking = clock.every(agentCheckMs, () => {
    for (const link of links.values()) link.check();
    unavailable.publish();
    logSilence([...links.values()].map(heardAgent));
  });
  const stopListening = agents.subscribe(relist);
  const stopRenewing = demand && renewOnChange(demand, clock, random, () => [...links.values()]);
  relist();

  return {
    synced: () => {
      synced ||= agents.list() !== undefined && areTried(links.values(), clock.monotonicMs());
      return synced;
    },
    refusedReports: refusals.count,
    close: () => {
      stopChecking();
      unavailable.close();
      stopListening();
      stopRenewing?.();
      for (const link of links.values()) link.close();
      links.clear();
    },
  };
}

/** Counts and logs the reports that are not believed. */
function reportRefusals(log: Log) {
  let count = 0;
  return {
    count: () => count,
    add: (endpoint: AgentEndpoint, { message }: Fault) => {
      count += 1;
      const facts = { agent: hostPort(endpoint), node: endpoint.nodeName, problem: message };
      log("warn", "agent's report refused, its stream is ended", facts);
    },
  };
}

function outageOf(link: AgentLink, owners: NodeOwners): readonly UnavailableAgent[] {
  return [silentAgent(link) ?? supersededAgent(link, owners)].flatMap((agent) => agent ?? []);
}

function heardAgent(link: AgentLink): HeardAgent {
  return { address: hostPort(link.endpoint), silent: silentAgent(link) };
}

function silentAgent({ endpoint, outage, latest }: AgentLink): UnavailableAgent | undefined {
  const current = outage();
  return current && unavailableAgent(endpoint, current, latest());
}

function supersededAgent(link: AgentLink, owners: NodeOwners): UnavailableAgent | undefined {
  const outage = owners.superseded(link);
  return outage && unavailableAgent(link.endpoint, outage, link.latest());
}

/**
 * Tells every agent of a new demand, each at its own time within the spread of a start.
 *
 * Watch is a call with one request, so its stream is opened again. A call beside it would need its
 * own retries and its own end, and a demand changes with the set of triggers alone: rarely.
 */
function renewOnChange(
  demand: Pick<ReadingDemand, "subscribe">,
  clock: Clock,
  random: () => number,
  links: () => readonly AgentLink[],
): Cancel {
  let cancel: Cancel | undefined;
  const renew = () => {
    cancel = undefined;
    const all = links();
    const spreadMs = Math.min(all.length * agentSpreadMs, agentSpreadMostMs);
    for (const link of all) clock.after(random() * spreadMs, link.renew);
  };
  const stop = demand.subscribe(() => {
    cancel ??= clock.after(demandSettleMs, renew);
  });
  return () => {
    stop();
    cancel?.();
  };
}

/** The report of each is there, or was waited for long enough. */
function areTried(links: Iterable<AgentLink>, nowMs: number): boolean {
  return [...links].every(
    ({ latest, listedAtMs }) => latest() !== undefined || nowMs - listedAtMs >= syncPatienceMs,
  );
}

/** Tells the store which agents are unavailable, when that changes. */
function unavailableAgents(
  store: Pick<FleetStore, "setUnavailable">,
  clock: Clock,
  list: () => readonly UnavailableAgent[],
) {
  let published: readonly UnavailableAgent[] = [];
  let cancelPublish: Cancel | undefined;

  const publish = () => {
    const current = list();
    if (Bun.deepEquals(current, published)) return;
    published = current;
    store.setUnavailable(current);
  };
  return {
    publish,
    /** An agent's report came: a thousand that come together are one change. */
    reported: (agent: string) => {
      if (!published.some(({ address }) => address === agent)) return;
      cancelPublish ??= clock.after(0, () => {
        cancelPublish = undefined;
        publish();
      });
    },
    close: () => cancelPublish?.(),
  };
}

/** The agents beyond the limit, which are logged; one that was refused before keeps its time. */
function refusedAgents(
  rest: readonly (readonly [key: string, AgentEndpoint])[],
  before: ReadonlyMap<string, UnavailableAgent>,
  { agentsMax, clock, log }: Pick<FollowOptions, "clock" | "log"> & { readonly agentsMax: number },
): ReadonlyMap<string, UnavailableAgent> {
  const counts = { limit: agentsMax, refused: rest.length };
  if (rest.length > 0) log("error", "more agents are listed than are followed", counts);
  const reason = `not followed: ${agentsMax} agents are already`;
  return new Map(
    rest.map(([key, endpoint]) => {
      const sinceMs = before.get(key)?.sinceMs ?? clock.monotonicMs();
      return [key, unavailableAgent(endpoint, { sinceMs, reason })];
    }),
  );
}

/** An address that passes to another node's agent is another agent. */
function keyOf(endpoint: AgentEndpoint): string {
  return `${hostPort(endpoint)} ${endpoint.nodeName ?? ""}`;
}

function unavailableAgent(
  endpoint: AgentEndpoint,
  outage: Outage,
  latest?: AgentReport,
): UnavailableAgent {
  const node = latest?.report.name ?? endpoint.nodeName;
  return { address: hostPort(endpoint), node, ...outage };
}
