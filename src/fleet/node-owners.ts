/**
 * Which agent speaks for which node, when more than one says that it does.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { hostPort } from "#core/host-port.ts";
import type { Log } from "#core/log.ts";
import type { AgentReport } from "#telemetry/report.ts";
import type { AgentLink, Outage } from "./agent-link.ts";

export interface NodeOwners {
  /** @returns Whether the agent's report counts: whether it speaks for the node that it names. */
  readonly accept: (link: AgentLink, report: AgentReport) => boolean;
  /** Forgets an agent. */
  readonly forget: (link: AgentLink) => void;
  /** Of an agent whose reports come and whose node another agent speaks for: since when, and who. */
  readonly superseded: (link: AgentLink) => Outage | undefined;
}

export interface NodeOwnersOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Called with a node that nobody speaks for any more. */
  readonly onFreed: (node: string) => void;
}

export function nodeOwners({ clock, log, onFreed }: NodeOwnersOptions): NodeOwners {
  const owners = new Map<string, AgentLink>();
  const named = new Map<AgentLink, string>();
  const superseded = new Map<AgentLink, Outage>();

  const forget = (link: AgentLink) => {
    const node = named.get(link);
    named.delete(link);
    superseded.delete(link);
    if (node === undefined || owners.get(node) !== link) return;
    owners.delete(node);
    onFreed(node);
  };
  const supersede = (link: AgentLink, owner: AgentLink, node: string) => {
    if (superseded.has(link)) return;
    const newer = hostPort(owner.endpoint);
    const reason = `agent ${newer}, which began later, speaks for node ${node}`;
    superseded.set(link, { sinceMs: clock.monotonicMs(), reason });
    const agents = [newer, hostPort(link.endpoint)];
    log("warn", "two agents speak for one node: the one that began later is believed", {
      node,
      agents,
    });
  };

  return {
    accept: (link, agentReport) => {
      const node = agentReport.report.name;
      if (named.get(link) !== node) forget(link);
      named.set(link, node);
      const owner = owners.get(node);
      if (owner === undefined || owner === link || owner.outage() !== undefined) {
        owners.set(node, link);
        superseded.delete(link);
        return true;
      }
      const ownerStartedAtMs = owner.latest()?.startedAtMs ?? 0;
      // One agent with two addresses: both say the same, and the first one serves.
      if (agentReport.startedAtMs === ownerStartedAtMs) return false;
      if (agentReport.startedAtMs < ownerStartedAtMs) {
        supersede(link, owner, node);
        return false;
      }
      owners.set(node, link);
      superseded.delete(link);
      supersede(owner, link, node);
      return true;
    },
    forget,
    superseded: (link) => superseded.get(link),
  };
}
