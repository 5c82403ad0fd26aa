/**
 * Metrics whose value is read at the scrape from where it is kept, so that nothing is kept twice.
 *
 * @module
 */
import { Counter, Gauge, type Registry } from "prom-client";

type Set = (labels: Record<string, string>, value: number) => void;

/** A gauge whose series are exactly those that `collect` sets: what is gone leaves no trace. */
export function gauge(
  registry: Registry,
  name: string,
  help: string,
  labels: readonly string[],
  collect: (set: Set) => void,
): void {
  const created = new Gauge({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect: () => {
      created.reset();
      // `reset` of a gauge without labels leaves a 0, which would be a value nobody read.
      if (labels.length === 0) created.remove();
      collect((values, value) => created.set(values, value));
    },
  });
}

/** A counter that something else counts; `total` never falls. */
export function counter(registry: Registry, name: string, help: string, total: () => number): void {
  const created = new Counter({
    name,
    help,
    registers: [registry],
    collect: () => {
      created.reset();
      created.inc(total());
    },
  });
}
