/**
 * Which agent speaks for which node, when more than one says that it does.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { hostPort } from "#core/host-port.ts";
import type { Log } from "#core/log.ts";
import type { Heard } from "#telemetry/decode.ts";
import type { AgentLink, Silence } from "./agent-link.ts";

export interface NodeClaims {
  /** Takes in what an agent said; tells whether it speaks for the node that it names. */
  readonly hear: (link: AgentLink, heard: Heard) => boolean;
  /** Forgets an agent. */
  readonly forget: (link: AgentLink) => void;
  /** Of an agent that is heard and whose node another one speaks for: since when, and who. */
  readonly shadow: (link: AgentLink) => Silence | undefined;
}

export interface NodeClaimsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Called with a node that nobody speaks for any more. */
  readonly onFreed: (node: string) => void;
}

export function nodeClaims({ clock, log, onFreed }: NodeClaimsOptions): NodeClaims {
  const owners = new Map<string, AgentLink>();
  const named = new Map<AgentLink, string>();
  const shadows = new Map<AgentLink, Silence>();

  const forget = (link: AgentLink) => {
    const node = named.get(link);
    named.delete(link);
    shadows.delete(link);
    if (node === undefined || owners.get(node) !== link) return;
    owners.delete(node);
    onFreed(node);
  };
  const stepBehind = (link: AgentLink, owner: AgentLink, node: string) => {
    if (shadows.has(link)) return;
    const newer = hostPort(owner.endpoint);
    const reason = `agent ${newer}, which began later, speaks for node ${node}`;
    shadows.set(link, { sinceMs: clock.monotonicMs(), reason });
    const agents = [newer, hostPort(link.endpoint)];
    log("warn", "two agents speak for one node: the one that began later is believed", {
      node,
      agents,
    });
  };

  return {
    hear: (link, heard) => {
      const node = heard.report.name;
      if (named.get(link) !== node) forget(link);
      named.set(link, node);
      const owner = owners.get(node);
      if (owner === undefined || owner === link || owner.silence() !== undefined) {
        owners.set(node, link);
        shadows.delete(link);
        return true;
      }
      const ownerStartedAtMs = owner.heard()?.startedAtMs ?? 0;
      // One agent with two addresses: both say the same, and the first one serves.
      if (heard.startedAtMs === ownerStartedAtMs) return false;
      if (heard.startedAtMs < ownerStartedAtMs) {
        stepBehind(link, owner, node);
        return false;
      }
      owners.set(node, link);
      shadows.delete(link);
      stepBehind(owner, link, node);
      return true;
    },
    forget,
    shadow: (link) => shadows.get(link),
  };
}
