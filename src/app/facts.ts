/**
 * What the process' own metrics say of the rooms that it wires together.
 *
 * @module
 */

import type { World } from "#cli/run.ts";
import type { FleetStore } from "#fleet/view.ts";
import type { Engines } from "./engines.ts";

export function engineFacts({ scraper }: Engines, { clock }: World) {
  return {
    targets: () => {
      const nowMs = clock.monotonicMs();
      return scraper.targets().map(({ adapter, goodAtMs, failure }) => ({
        engine: adapter?.engine ?? "unknown",
        isFailing: failure !== undefined,
        ...(goodAtMs === undefined ? {} : { ageMs: nowMs - goodAtMs }),
      }));
    },
    scrapes: scraper.scrapes,
  };
}

export function fleetFacts(store: FleetStore, { clock }: World) {
  const nodes = () => [...store.view().nodes.values()];
  return {
    nodes: () => store.view().nodes.size,
    devices: () => nodes().reduce((sum, { devices }) => sum + devices.length, 0),
    silentAgents: () => store.view().unavailable.length,
    oldestSampleAgeMs: () => {
      const oldestMs = Math.min(...nodes().map(({ sampledAtMs }) => sampledAtMs));
      return Number.isFinite(oldestMs) ? clock.monotonicMs() - oldestMs : undefined;
    },
  };
}
