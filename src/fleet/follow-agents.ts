/**
 * Follows every agent that is listed, and keeps the fleet's store true to what they say.
 *
 * A node leaves the store when its agent is listed no more. An agent that is listed and cannot be
 * heard stays, as silent: its node's readings are missing, which is not the same as gone.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { hostPort } from "#core/host-port.ts";
import { agentsMax as agentsMaxDefault } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { Heard } from "#telemetry/decode.ts";
import { type WatchAgent, watchAgent } from "#telemetry/watch.ts";
import { type AgentLink, agentLink, type Silence } from "./agent-link.ts";
import type { AgentEndpoint, AgentSource } from "./agents.ts";
import { nodeClaims } from "./node-claims.ts";
import type { FleetStore, SilentAgent } from "./view.ts";

export interface FollowOptions {
  readonly agents: AgentSource;
  readonly store: Pick<FleetStore, "put" | "remove" | "silent">;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1, for the pauses between attempts. */
  readonly random?: () => number;
  readonly watch?: WatchAgent;
  readonly agentsMax?: number;
}

export interface FleetFollower {
  /**
   * Whether the view is as full as it gets: once true for ever. Every agent that was listed at
   * that time had been heard or had been tried for `syncPatienceMs`.
   */
  readonly synced: () => boolean;
  readonly close: () => void;
}

/** A healthy agent is heard in milliseconds; a replica must not wait for a dead node for ever. */
export const syncPatienceMs = 10_000;
/** How often silence is looked for. */
const checkMs = 500;
/** First attempts are spread over this for each agent, and over `spreadMostMs` altogether. */
const spreadMsPerAgent = 1;
const spreadMostMs = 2_000;

export function followFleet(options: FollowOptions): FleetFollower {
  const { agents, store, clock, log, random = Math.random, watch = watchAgent } = options;
  const { agentsMax = agentsMaxDefault } = options;
  const links = new Map<string, AgentLink>();
  let refused: ReadonlyMap<string, SilentAgent> = new Map();
  const claims = nodeClaims({ clock, log, onFreed: store.remove });
  let toldSilent: readonly SilentAgent[] = [];
  let cancelTelling: Cancel | undefined;
  let synced = false;

  const open = (endpoint: AgentEndpoint, spreadMs: number) => {
    const link: AgentLink = agentLink({
      endpoint,
      clock,
      random,
      watch,
      firstPauseMs: random() * spreadMs,
      onHeard: (heard) => {
        if (claims.hear(link, heard)) store.put(heard.report);
        if (toldSilent.some(({ address }) => address === hostPort(endpoint))) tellSilentSoon();
      },
    });
    return link;
  };
  const tellSilent = () => {
    const silent = [...links.values()].flatMap((link) => {
      const silence = link.silence() ?? claims.shadow(link);
      return silence === undefined ? [] : silentAgent(link.endpoint, silence, link.heard());
    });
    const all = [...silent, ...refused.values()];
    if (Bun.deepEquals(all, toldSilent)) return;
    toldSilent = all;
    store.silent(all);
  };
  /** Whoever speaks is silent no more; a thousand that begin to speak together are told of once. */
  const tellSilentSoon = () => {
    cancelTelling ??= clock.after(0, () => {
      cancelTelling = undefined;
      tellSilent();
    });
  };
  const refuse = (rest: readonly (readonly [string, AgentEndpoint])[]) => {
    const reason = `not followed: ${agentsMax} agents are already`;
    const nowMs = clock.monotonicMs();
    refused = new Map(
      rest.map(([key, endpoint]) => {
        const sinceMs = refused.get(key)?.sinceMs ?? nowMs;
        return [key, silentAgent(endpoint, { sinceMs, reason })];
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
      claims.forget(link);
    }
    const fresh = [...listed].filter(([key]) => !links.has(key));
    const room = agentsMax - links.size;
    const spreadMs = Math.min(fresh.length * spreadMsPerAgent, spreadMostMs);
    for (const [key, endpoint] of fresh.slice(0, room)) links.set(key, open(endpoint, spreadMs));
    refuse(fresh.slice(room));
    tellSilent();
  };
  const stopChecking = clock.every(checkMs, () => {
    for (const link of links.values()) link.check();
    tellSilent();
  });
  const stopListening = agents.subscribe(relist);
  relist();

  return {
    synced: () => {
      synced ||=
        agents.list() !== undefined &&
        [...links.values()].every(
          (link) =>
            link.heard() !== undefined || clock.monotonicMs() - link.listedAtMs >= syncPatienceMs,
        );
      return synced;
    },
    close: () => {
      stopChecking();
      cancelTelling?.();
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

function silentAgent(endpoint: AgentEndpoint, silence: Silence, heard?: Heard): SilentAgent {
  const node = heard?.report.name ?? endpoint.nodeName;
  return { address: hostPort(endpoint), ...(node === undefined ? {} : { node }), ...silence };
}
