/**
 * Probes a target's locations for the one that has an engine's page, and remembers it.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { engineStaleIntervals } from "#core/limits.ts";
import type { PageLocation } from "./target.ts";

interface Prober {
  /**
   * Reads the location that had the page last time, or else the first that has one now. All tries
   * of one call share its time.
   *
   * @throws What `read` threw; of several failures the one that tells most.
   */
  readonly read: <Page>(
    read: (location: PageLocation, deadlineMs: number) => Promise<Page>,
  ) => Promise<Page>;
}

interface ProberOptions {
  /** At least one, the likeliest first. */
  readonly locations: readonly PageLocation[];
  readonly clock: Clock;
  readonly timeoutMs: number;
}

export function prober({ locations, clock, timeoutMs }: ProberOptions): Prober {
  let found: PageLocation | undefined;
  let firstIndex = 0;
  let failedInRow = 0;

  const order = (): readonly PageLocation[] =>
    found === undefined
      ? [...locations.slice(firstIndex), ...locations.slice(0, firstIndex)]
      : [found];

  const ruleOut = (
    location: PageLocation,
    error: unknown,
    ports: Set<number | undefined>,
  ): void => {
    if (isOverloaded(error)) return;
    if (!hasAnswered(error)) ports.add(location.port);
    // A silent port must not take all the time from those behind it again.
    firstIndex = (locations.indexOf(location) + 1) % locations.length;
  };

  const readFirst: Prober["read"] = async (read) => {
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const closedPorts = new Set<number | undefined>();
    let failure: unknown;
    for (const location of order()) {
      if (closedPorts.has(location.port)) continue;
      if (isOver(failure, deadlineMs - clock.monotonicMs())) break;
      try {
        const page = await read(location, deadlineMs);
        found = location;
        return page;
      } catch (error) {
        failure = moreTelling(failure, error);
        ruleOut(location, error, closedPorts);
      }
    }
    throw failure;
  };

  return {
    read: async (read) => {
      try {
        const page = await readFirst(read);
        failedInRow = 0;
        return page;
      } catch (error) {
        if (!isOverloaded(error)) failedInRow += 1;
        // The page may have moved: the next call tries every location.
        if (failedInRow >= engineStaleIntervals) found = undefined;
        throw error;
      }
    },
  };
}

/** Says nothing of where the page is, so no other location is tried: that may be another engine's. */
function isOverloaded(error: unknown): boolean {
  return error instanceof Fault && error.code === "overloaded";
}

function isOver(failure: unknown, leftMs: number): boolean {
  return leftMs <= 0 || isOverloaded(failure);
}

/** Whether another path of the same port is worth a try. */
function hasAnswered(error: unknown): boolean {
  return error instanceof Fault && (error.code === "page-invalid" || "status" in error.facts);
}

/** What came with an answer says more than a port that is closed, and a page more than a status. */
function moreTelling(earlier: unknown, later: unknown): unknown {
  if (!(earlier instanceof Fault) || !(later instanceof Fault)) return later;
  if (isOverloaded(later)) return later;
  if (earlier.code === "page-invalid") return earlier;
  return later.code === "page-invalid" || !hasAnswered(earlier) ? later : earlier;
}
