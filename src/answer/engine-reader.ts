/**
 * What an answer needs of the engine room, as functions: an answer reads from memory and knows
 * nothing of sockets.
 *
 * @module
 */
import type { Cancel } from "#core/clock.ts";
import type { Fault } from "#core/fault.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { SignalQuery } from "#engine/signal/query.ts";
import type { SignalResult } from "#engine/signal/result.ts";

/** Keys of a trigger whose value is the name of a file that the operator mounted for its namespace. */
export type MountedFileKey = "engineTokenFile" | "engineBasicAuthFile" | "engineCaFile";

/** One address behind a URL of a trigger. */
export interface EngineEndpoint {
  readonly at: ScrapeTarget["at"];
  /** Absent where a URL says it. */
  readonly port?: number;
  /** The path of the URL, where it has one. */
  readonly path?: string | undefined;
  /** Of an https URL: what the certificate is for unless the trigger says otherwise. */
  readonly serverName?: string | undefined;
  /** Whether it belongs to the trigger's namespace: credentials of that go nowhere else. */
  readonly isOwn: boolean;
  /** Whether it says of itself that it serves: one that does not counts as far as it answers. */
  readonly ready: boolean;
}

export interface EngineReader {
  /** Returns at once; the first call for a target starts to follow it. */
  readonly read: (target: ScrapeTarget, query: SignalQuery) => EngineReading;
  /** Why a pod is not asked for metrics where the target says; `undefined` when it is. */
  readonly podRefusal: (
    pod: {
      readonly name: string;
      readonly ports: readonly number[];
      readonly onHostNetwork: boolean;
    },
    target: Pick<ScrapeTarget, "engine" | "port">,
  ) => Fault | undefined;
  /** Several engines' results as one; `undefined` when they are not made of observations. */
  readonly merge: (results: readonly SignalResult[]) => SignalResult | undefined;
  /**
   * Where the URL of a trigger in this namespace leads, at least one address.
   *
   * @throws {Fault} `endpoint-refused`; `data-missing` when nothing is there or it is not read yet.
   */
  readonly endpointsOf: (url: string, namespace: string) => readonly EngineEndpoint[];
  /**
   * Where a namespace's file lies that a trigger names with `key`.
   *
   * @throws {Fault} `file-invalid` in a process that was given no directory for such files.
   */
  readonly mountedFile: (key: MountedFileKey, namespace: string, name: string) => string;
  /** Reads the target as often as is good for it, and runs `listener` after each time. */
  readonly listen: (target: ScrapeTarget, listener: () => void) => Cancel;
  /** Runs `listener` when a URL may lead to other addresses. */
  readonly onEndpointsChange: (listener: () => void) => Cancel;
}
