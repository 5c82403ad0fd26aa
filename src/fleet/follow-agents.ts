/**
 * Follows every agent that is listed, and keeps the fleet's store true to what they say.
 *
 * A node leaves the store when its agent is no longer listed. An agent that is listed and gives no
 * reports stays, as unavailable: its node's readings are missing, which is not the same as gone.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { hostPort } from "#core/host-port.ts";
import {
  agentCheckMs,
  agentSpreadMostMs,
  agentSpreadMs,
  agentsMax as agentsMaxDefault,
  syncPatienceMs,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { AgentReport } from "#telemetry/report.ts";
import { type WatchAgent, watchAgent } from "#telemetry/watch.ts";
import { type AgentLink, agentLink, type Outage } from "./agent-link.ts";
import type { AgentEndpoint, AgentSource } from "./agents.ts";
import { nodeOwners } from "./node-owners.ts";
import type { FleetStore, UnavailableAgent } from "./view.ts";

export interface FollowOptions {
  readonly agents: AgentSource;
  readonly store: Pick<FleetStore, "put" | "remove" | "setUnavailable">;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1, for the pauses between attempts. */
  readonly random?: () => number;
  readonly watch?: WatchAgent;
  readonly agentsMax?: number;
}

export interface FleetFollower {
  /**
   * Whether the view is as full as it gets; once true, true for ever. Every agent that was listed at
   * that time had given a report or had been tried for `syncPatienceMs`.
   */
  readonly synced: () => boolean;
  readonly close: () => void;
}

export function followFleet(options: FollowOptions): FleetFollower {
  const { agents, store, clock, log, random = Math.random, watch = watchAgent } = options;
  const { agentsMax = agentsMaxDefault } = options;
  const links = new Map<string, AgentLink>();
  let refused: ReadonlyMap<string, UnavailableAgent> = new Map();
  const owners = nodeOwners({ clock, log, onFreed: store.remove });
  let unavailable: readonly UnavailableAgent[] = [];
  let cancelPublish: Cancel | undefined;
  let synced = false;

  const open = (endpoint: AgentEndpoint, spreadMs: number) => {
    const link: AgentLink = agentLink({
      endpoint,
      clock,
      random,
      watch,
      firstPauseMs: random() * spreadMs,
      onReport: (report) => {
        if (owners.accept(link, report)) store.put(report.report);
        if (unavailable.some(({ address }) => address === hostPort(endpoint))) publishSoon();
      },
    });
    return link;
  };
  const publish = () => {
    const unheard = [...links.values()].flatMap((link) => {
      const outage = link.outage() ?? owners.superseded(link);
      return outage === undefined ? [] : unavailableAgent(link.endpoint, outage, link.latest());
    });
    const all = [...unheard, ...refused.values()];
    if (Bun.deepEquals(all, unavailable)) return;
    unavailable = all;
    store.setUnavailable(all);
  };
  /** An agent whose reports come is available at once; a thousand that start together are one change. */
  const publishSoon = () => {
    cancelPublish ??= clock.after(0, () => {
      cancelPublish = undefined;
      publish();
    });
  };
  const refuse = (rest: readonly (readonly [string, AgentEndpoint])[]) => {
    const reason = `not followed: ${agentsMax} agents are already`;
    const nowMs = clock.monotonicMs();
    refused = new Map(
      rest.map(([key, endpoint]) => {
        const sinceMs = refused.get(key)?.sinceMs ?? nowMs;
        return [key, unavailableAgent(endpoint, { sinceMs, reason })];
      }),
    );
    if (rest.length > 0)
      log("error", "more agents are listed than are followed", {
        limit: agentsMax,
        refused: rest.length,
      });
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
    refuse(fresh.slice(room));
    publish();
  };
  const stopChecking = clock.every(agentCheckMs, () => {
    for (const link of links.values()) link.check();
    publish();
  });
  const stopListening = agents.subscribe(relist);
  relist();

  return {
    synced: () => {
      synced ||=
        agents.list() !== undefined &&
        [...links.values()].every(
          (link) =>
            link.latest() !== undefined || clock.monotonicMs() - link.listedAtMs >= syncPatienceMs,
        );
      return synced;
    },
    close: () => {
      stopChecking();
      cancelPublish?.();
      stopListening();
      for (const link of links.values()) link.close();
      links.clear();
    },
  };
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
