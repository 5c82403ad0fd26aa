import { Counter, type Registry } from "prom-client";
import { gauge } from "./read-metric.ts";

/** What this process knows of the engines that it reads. */
export interface EngineFacts {
  readonly targets: () => readonly EngineTarget[];
  /** Scrapes since the start, by how they ended. */
  readonly scrapes: () => ReadonlyMap<string, number>;
}

interface EngineTarget {
  readonly engine: string;
  /** Whether its last scrape failed. */
  readonly isFailing: boolean;
  /** Of its last good scrape; absent before there was one. */
  readonly ageMs?: number;
}

export function registerEngines(registry: Registry, prefix: string, engines: EngineFacts): void {
  gauge(
    registry,
    `${prefix}engine_targets`,
    "Engines and gateways that are read, by engine and by how their last scrape ended",
    ["engine", "state"],
    (set) => {
      const counts = Object.groupBy(engines.targets(), ({ engine, isFailing }) =>
        [engine, isFailing ? "failing" : "ok"].join(" "),
      );
      for (const [key, targets = []] of Object.entries(counts)) {
        const [engine = "", state = ""] = key.split(" ");
        set({ engine, state }, targets.length);
      }
    },
  );
  gauge(
    registry,
    `${prefix}engine_oldest_scrape_age_seconds`,
    "Age of the oldest newest good scrape of an engine",
    [],
    (set) => {
      const oldestMs = Math.max(...engines.targets().map(({ ageMs = 0 }) => ageMs));
      if (oldestMs > 0) set({}, oldestMs / 1000);
    },
  );
  const scrapes = new Counter({
    name: `${prefix}engine_scrapes_total`,
    help: "Scrapes of engines, by how they ended: ok, or the fault's code",
    labelNames: ["outcome"],
    registers: [registry],
    collect: () => {
      scrapes.reset();
      for (const [outcome, count] of engines.scrapes()) scrapes.inc({ outcome }, count);
    },
  });
}
