/**
 * Logs when a listed agent begins to be silent, and when it is heard again.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { agentSilentMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { UnavailableAgent } from "./view.ts";

/**
 * @returns Takes the agents that give no reports now. One that was listed or heard a moment ago is not
 * silent yet: a scaler that starts has heard nobody.
 */
export function silenceLog(
  clock: Pick<Clock, "monotonicMs">,
  log: Log,
): (unavailable: readonly UnavailableAgent[], listed: ReadonlySet<string>) => void {
  const silent = new Map<string, UnavailableAgent>();
  return (unavailable, listed) => {
    const nowMs = clock.monotonicMs();
    const current = new Set(unavailable.map(({ address }) => address));
    for (const agent of unavailable) {
      const { address, node, sinceMs, reason } = agent;
      if (silent.has(address) || nowMs - sinceMs < agentSilentMs) continue;
      silent.set(address, agent);
      log("warn", "agent is silent", { agent: address, node, reason });
    }
    for (const [address, { node, sinceMs }] of silent) {
      if (current.has(address)) continue;
      silent.delete(address);
      const silentSeconds = Math.round((nowMs - sinceMs) / 1_000);
      const event = listed.has(address) ? "agent is heard again" : "silent agent is listed no more";
      log("info", event, { agent: address, node, silentSeconds });
    }
  };
}
