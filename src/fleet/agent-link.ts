/**
 * The connection to one agent: opened again after every end, with growing and jittered pauses.
 *
 * @module
 */
import { backOff } from "#core/back-off.ts";
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { agentPauseLeastMs, agentPauseMostMs, agentSilentMs } from "#core/limits.ts";
import { invalidReport } from "#telemetry/check.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";
import type { AgentReport } from "#telemetry/report.ts";
import type { WatchAgent } from "#telemetry/watch.ts";
import type { AgentEndpoint } from "./agents.ts";

/** Why an agent's reports are missing, for people, and since when. */
export interface Outage {
  readonly sinceMs: number;
  readonly reason: string;
}

export interface AgentLink {
  readonly endpoint: AgentEndpoint;
  readonly listedAtMs: number;
  /** The newest, on whichever connection it came. */
  readonly latest: () => AgentReport | undefined;
  /** `undefined` while reports come. */
  readonly outage: () => Outage | undefined;
  /** Gives up a connection on which nothing came for `agentSilentMs`. */
  readonly check: () => void;
  readonly close: () => void;
}

export interface AgentLinkOptions {
  readonly endpoint: AgentEndpoint;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly watch: WatchAgent;
  /** So that a replica that starts does not open all connections in one instant. */
  readonly firstPauseMs: number;
  readonly onReport: (report: AgentReport) => void;
  /** Called with a report that is not believed: its stream ends, and is tried again later. */
  readonly onRefused: (fault: Fault) => void;
}

export function agentLink(options: AgentLinkOptions): AgentLink {
  const { endpoint, clock, random, watch, firstPauseMs, onReport, onRefused } = options;
  const listedAtMs = clock.monotonicMs();
  const pauses = backOff({ leastMs: agentPauseLeastMs, mostMs: agentPauseMostMs, random });
  let latest: AgentReport | undefined;
  let messageAtMs = listedAtMs;
  let connectedAtMs = listedAtMs;
  let reason = "not connected yet";
  /** Whether the newest word of the agent was refused. */
  let isRefused = false;
  let connection: AbortController | undefined;
  let cancelPause: Cancel = () => {};
  let closed = false;

  async function connect() {
    const current = new AbortController();
    connection = current;
    connectedAtMs = clock.monotonicMs();
    const decode = snapshotDecoder();
    const onSnapshot = (snapshot: Parameters<typeof decode>[0]) => {
      if (current.signal.aborted) return;
      const report = ownReport(decode(snapshot), endpoint);
      messageAtMs = clock.monotonicMs();
      if (report === undefined) {
        reason = "it is there and has read no device yet";
        return;
      }
      pauses.reset();
      isRefused = false;
      reason = "connected, and nothing comes";
      latest = report;
      onReport(report);
    };
    try {
      await watch({ ...endpoint, signal: current.signal, onSnapshot });
      reason = "it ended the stream";
    } catch (error) {
      reason = messageOf(error);
      isRefused ||= error instanceof Fault;
      if (error instanceof Fault && !closed) onRefused(error);
    }
    connection = undefined;
    if (!closed) pause(pauses.next());
  }
  function pause(delayMs: number) {
    cancelPause = clock.after(delayMs, () => void connect());
  }
  pause(firstPauseMs);

  return {
    endpoint,
    listedAtMs,
    latest: () => latest,
    outage: () => {
      const isHeard = latest !== undefined && clock.monotonicMs() - messageAtMs < agentSilentMs;
      if (isHeard && !isRefused) return undefined;
      return { sinceMs: latest === undefined ? listedAtMs : messageAtMs, reason };
    },
    check: () => {
      const quietMs = clock.monotonicMs() - Math.max(messageAtMs, connectedAtMs);
      if (connection !== undefined && quietMs >= agentSilentMs)
        connection.abort(new Error(`connected, and silent for ${agentSilentMs} ms`));
    },
    close: () => {
      closed = true;
      cancelPause();
      connection?.abort(new Error("not listed any more"));
    },
  };
}

/** An agent speaks for the node that it runs on, where whoever lists it says which that is. */
function ownReport(report: AgentReport | undefined, { nodeName }: AgentEndpoint) {
  const name = report?.report.name;
  if (name === undefined || nodeName === undefined || name === nodeName) return report;
  throw invalidReport(name, `it must come from that node's agent, got one of node ${nodeName}`);
}
