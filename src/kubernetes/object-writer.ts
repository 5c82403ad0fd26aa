/**
 * Writes parts of objects, of which nobody waits for any.
 *
 * A write that fails is counted, and logged once for each cause; while the API server refuses, nothing
 * is written for growing times.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { counts } from "#core/counts.ts";
import { Fault, type FaultFacts } from "#core/fault.ts";
import { apiWritePauseLeastMs, apiWritePauseMostMs, apiWritesAtOnce } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { slots } from "#core/slots.ts";
import type { KubernetesClient } from "./client.ts";

/** `left`: somebody else has set another value meanwhile, or the object is gone. */
export type WriteOutcome = "ok" | "left" | "failed";

export interface ObjectWriter {
  /** False while the API server refuses: what would be written now is due again later. */
  readonly isOpen: () => boolean;
  /**
   * Applies fields to the object at a path, in its turn.
   *
   * @returns `undefined` where nothing was tried, because others have failed meanwhile.
   */
  readonly write: (path: string, fields: object) => Promise<WriteOutcome | undefined>;
  /** Writes since the start. */
  readonly count: (outcome: WriteOutcome) => number;
  readonly stop: () => void;
}

export interface ObjectWriterOptions {
  readonly client: Pick<KubernetesClient, "apply">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** From 0 to 1: spreads attempts. */
  readonly random: () => number;
  readonly log: Log;
  /** What the log calls a failure. */
  readonly failureEvent: string;
}

export function objectWriter(options: ObjectWriterOptions): ObjectWriter {
  const { client, clock, random, log, failureEvent } = options;
  const stopped = new AbortController();
  const inSlot = slots(apiWritesAtOnce);
  const outcomes = counts<WriteOutcome>();
  const pauses = backOff({ leastMs: apiWritePauseLeastMs, mostMs: apiWritePauseMostMs, random });
  let closedUntilMs = Number.NEGATIVE_INFINITY;
  let failingStatus: number | undefined;
  const isOpen = () => !stopped.signal.aborted && clock.monotonicMs() >= closedUntilMs;

  const failed = (fault: Fault): WriteOutcome => {
    const { status, retryAfterMs = 0 } = fault.facts as FaultFacts["kubernetes-failed"];
    if (status === 404 || status === 409) return "left";
    if (status !== failingStatus) log("warn", failureEvent, { why: fault.message });
    failingStatus = status;
    // Those that were under way together have failed together.
    if (isOpen()) closedUntilMs = clock.monotonicMs() + Math.max(pauses.next(), retryAfterMs);
    return "failed";
  };
  const apply = async (path: string, fields: object): Promise<WriteOutcome | undefined> => {
    try {
      await client.apply(path, fields, stopped.signal);
      pauses.reset();
      failingStatus = undefined;
      return "ok";
    } catch (cause) {
      if (stopped.signal.aborted) return undefined;
      assert(cause instanceof Fault, `a write failed with ${String(cause)}`);
      return failed(cause);
    }
  };
  const write = async (path: string, fields: object) => {
    // Others may have failed while this one waited for its turn.
    if (!isOpen()) return undefined;
    const outcome = await apply(path, fields);
    if (outcome !== undefined) outcomes.change(outcome, 1);
    return outcome;
  };
  return {
    isOpen,
    write: (path, fields) => inSlot(() => write(path, fields)),
    count: outcomes.of,
    stop: () => stopped.abort(),
  };
}
