/**
 * Logs when a listed agent begins to be silent, and when it is heard again.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { agentSilentMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { UnavailableAgent } from "./view.ts";

/** An agent that is listed, and since when it gives no reports, if it gives none. */
export interface HeardAgent {
  readonly address: string;
  readonly silent?: UnavailableAgent | undefined;
}

/**
 * @returns Takes the agents that are listed now. One that was listed or heard a moment ago is not
 * silent yet: a scaler that starts has heard nobody.
 */
export function silenceLog(
  clock: Pick<Clock, "monotonicMs">,
  log: Log,
): (listed: readonly HeardAgent[]) => void {
  const logged = new Map<string, UnavailableAgent>();
  const begin = (agent: UnavailableAgent) => {
    const { address, node, reason, sinceMs } = agent;
    if (logged.has(address) || clock.monotonicMs() - sinceMs < agentSilentMs) return;
    logged.set(address, agent);
    log("warn", "agent is silent", { agent: address, node, reason });
  };
  const end = ({ address, node, sinceMs }: UnavailableAgent, isListed: boolean) => {
    logged.delete(address);
    const silentSeconds = Math.round((clock.monotonicMs() - sinceMs) / 1_000);
    const event = isListed ? "agent is heard again" : "silent agent is listed no more";
    log("info", event, { agent: address, node, silentSeconds });
  };
  return (listed) => {
    for (const { silent } of listed) if (silent !== undefined) begin(silent);
    if (logged.size === 0) return;
    const agents = new Map(listed.map((agent) => [agent.address, agent]));
    for (const before of logged.values()) {
      const agent = agents.get(before.address);
      if (agent?.silent === undefined) end(before, agent !== undefined);
    }
  };
}
