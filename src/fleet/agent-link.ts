/**
 * The connection to one agent: opened again after every end, with growing and jittered pauses.
 *
 * @module
 */
import { backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { agentPauseLeastMs, agentPauseMostMs, agentSilentMs } from "#core/limits.ts";
import type { ReadingName } from "#metric/reading.ts";
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
  /**
   * Where the agent was told of another demand than there is now, opens the stream again at once. What
   * it reported stays in use meanwhile, and a new stream begins with a whole snapshot: for a reader it
   * is one sample that comes a moment late.
   */
  readonly renew: () => void;
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
  /** Costly readings that the agent is to take. */
  readonly demanded: () => readonly ReadingName[];
  readonly onReport: (report: AgentReport) => void;
  /** Called with a report that is not believed: its stream ends, and is tried again later. */
  readonly onRefused: (fault: Fault) => void;
}

/** Why a stream that works is ended. */
const renewed = new Error("opened again with another demand");

export function agentLink(options: AgentLinkOptions): AgentLink {
  const { endpoint, clock, random, firstPauseMs, demanded, onReport, onRefused } = options;
  const listedAtMs = clock.monotonicMs();
  const pauses = backOff({ leastMs: agentPauseLeastMs, mostMs: agentPauseMostMs, random });
  let latest: AgentReport | undefined;
  let messageAtMs = listedAtMs;
  let connectedAtMs = listedAtMs;
  let reason = "not connected yet";
  /** Whether the newest word of the agent was refused. */
  let isRefused = false;
  let connection: AbortController | undefined;
  let demandSent: readonly ReadingName[] = [];
  let cancelPause = clock.after(firstPauseMs, () => void connect());
  let closed = false;

  async function connect() {
    const current = new AbortController();
    connection = current;
    connectedAtMs = clock.monotonicMs();
    demandSent = demanded();
    const take = (report: AgentReport | undefined) => {
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
      await watchReports(options, demandSent, current.signal, take);
      reason = "it ended the stream";
    } catch (error) {
      reason = messageOf(error);
      isRefused ||= error instanceof Fault;
      if (error instanceof Fault && !closed) onRefused(error);
    }
    connection = undefined;
    if (closed) return;
    const pauseMs = current.signal.reason === renewed ? 0 : pauses.next();
    cancelPause = clock.after(pauseMs, () => void connect());
  }

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
    renew: () => {
      if (!closed && !Bun.deepEquals(demandSent, demanded())) connection?.abort(renewed);
    },
    close: () => {
      closed = true;
      cancelPause();
      connection?.abort(new Error("not listed any more"));
    },
  };
}

/** One stream, from its beginning to its end; `onMessage` gets `undefined` before the first report. */
function watchReports(
  { endpoint, clock, watch }: AgentLinkOptions,
  demanded: readonly ReadingName[],
  signal: AbortSignal,
  onMessage: (report: AgentReport | undefined) => void,
): Promise<void> {
  const decode = snapshotDecoder();
  return watch({
    ...endpoint,
    clock,
    demanded,
    signal,
    onSnapshot: (snapshot) => {
      if (!signal.aborted) onMessage(ownReport(decode(snapshot), endpoint));
    },
  });
}

/** An agent speaks for the node that it runs on, where whoever lists it says which that is. */
function ownReport(report: AgentReport | undefined, { nodeName }: AgentEndpoint) {
  const name = report?.report.name;
  if (name === undefined || nodeName === undefined || name === nodeName) return report;
  throw invalidReport(name, `it must come from that node's agent, got one of node ${nodeName}`);
}
