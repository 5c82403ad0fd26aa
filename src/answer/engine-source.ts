/**
 * What an answer needs of the engine room, as functions: an answer reads from memory and knows
 * nothing of sockets.
 *
 * @module
 */
import type { Cancel } from "#core/clock.ts";
import type { Ask } from "#engine/ask.ts";
import type { Outcome } from "#engine/evaluate.ts";
import type { EngineReading } from "#engine/reading.ts";
import type { TargetSpec } from "#engine/target.ts";

/** One place behind a URL of a trigger. */
export interface Place {
  readonly at: TargetSpec["at"];
  /** Absent where a URL says it. */
  readonly port?: number;
  /** The path of the URL, where it has one. */
  readonly path?: string;
  /** Whether it says of itself that it serves: one that does not counts as far as it answers. */
  readonly ready: boolean;
}

export interface EngineSource {
  /** Returns at once; the first call for a target starts to follow it. */
  readonly read: (spec: TargetSpec, ask: Ask) => EngineReading;
  /** Several engines' outcomes as one; `undefined` when they are not made of observations. */
  readonly merge: (outcomes: readonly Outcome[]) => Outcome | undefined;
  /**
   * Where the URL of a trigger in this namespace leads, at least one place.
   *
   * @throws {Fault} `endpoint-refused`; `data-missing` when nothing is there or it is not read yet.
   */
  readonly placesOf: (url: string, namespace: string) => readonly Place[];
  /**
   * Where a bearer token of a namespace lies.
   *
   * @throws {Fault} `file-invalid` in a process that was given no place for them.
   */
  readonly tokenFile: (namespace: string, name: string) => string;
  /** Reads the target as often as is good for it, and runs `listener` after each time. */
  readonly listen: (spec: TargetSpec, listener: () => void) => Cancel;
  /** Runs `listener` when a URL may lead to other places. */
  readonly onPlaces: (listener: () => void) => Cancel;
}
