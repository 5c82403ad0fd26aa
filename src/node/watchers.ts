/**
 * Who watches the node, so that one client cannot take every place from the scalers.
 *
 * @module
 */
import type { Cancel } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { telemetryWatchersMax, telemetryWatchersPerPeerMax } from "#core/limits.ts";
import { shares } from "#core/shares.ts";

export interface WatcherLimits {
  readonly watchersMax?: number | undefined;
  readonly watchersPerPeerMax?: number | undefined;
}

interface Watcher {
  readonly peer: string;
  readonly end: (fault: Fault) => void;
}

export interface Watchers {
  /**
   * Counts a watcher in. Where every place is taken, it takes that of the newest watcher of the peer
   * that has most, unless its own peer would then have as many as that.
   *
   * @param end Called when another watcher takes the place.
   * @returns Gives the place back.
   * @throws {Fault} `overloaded`
   */
  readonly enter: (peer: string, end: Watcher["end"]) => Cancel;
}

export function nodeWatchers({
  watchersMax = telemetryWatchersMax,
  watchersPerPeerMax = telemetryWatchersPerPeerMax,
}: WatcherLimits = {}): Watchers {
  const places = shares<Watcher>();
  return {
    enter: (peer, end) => {
      const own = places.of(peer).size;
      if (own >= watchersPerPeerMax)
        throw overloaded(`this address has ${own} streams already`, watchersPerPeerMax);
      if (places.size() >= watchersMax) {
        const most = [...places.largest()];
        const displaced = most.at(-1);
        // Two peers that would only change places would do so for ever.
        if (displaced === undefined || own + 1 >= most.length)
          throw overloaded(`${watchersMax} watchers are served already`, watchersMax);
        places.remove(displaced.peer, displaced);
        displaced.end(overloaded("another address that has fewer needed the place", watchersMax));
      }
      const watcher: Watcher = { peer, end };
      places.add(peer, watcher);
      return () => places.remove(peer, watcher);
    },
  };
}

function overloaded(problem: string, limit: number): Fault {
  const message = `Cannot watch the node: ${problem}; run fewer replicas, each watches once`;
  return new Fault("overloaded", message, { limit });
}
