/**
 * Which agent speaks for which node, when more than one says that it does.
 *
 * Where the list says which node an agent runs on, both do run there, as while a DaemonSet is rolled
 * out, and the one that began later is believed. Where it does not, a later beginning proves nothing:
 * the one that was heard first is believed for as long as its reports come.
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
    const believed = hostPort(owner.endpoint);
    const why = isListedFor(node, owner, link) ? "began later" : "was heard first";
    const reason = `agent ${believed}, which ${why}, speaks for node ${node}`;
    superseded.set(link, { sinceMs: clock.monotonicMs(), reason });
    const agents = [believed, hostPort(link.endpoint)];
    log("warn", `two agents speak for one node: the one that ${why} is believed`, {
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
      if (!isListedFor(node, owner, link) || agentReport.startedAtMs < ownerStartedAtMs) {
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

function isListedFor(node: string, ...links: readonly AgentLink[]): boolean {
  return links.every(({ endpoint }) => endpoint.nodeName === node);
}
