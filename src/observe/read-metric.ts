/**
 * Metrics whose value is read at the scrape from where it is kept, so that nothing is kept twice.
 *
 * @module
 */
import { Counter, Gauge, type Registry } from "prom-client";

export interface MetricHead {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

type SetSeries = (value: number, labels?: Record<string, string>) => void;

/** A gauge whose series are exactly those that `collect` sets: what is gone leaves no trace. */
export function gauge(
  registry: Registry,
  { name, help, labelNames = [] }: MetricHead,
  collect: (set: SetSeries) => void,
): void {
  const created = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      created.reset();
      // `reset` of a gauge without labels leaves a 0, which would be a value nobody read.
      if (labelNames.length === 0) created.remove();
      collect((value, labels = {}) => created.set(labels, value));
    },
  });
}

/** A counter that something else counts; none of its series falls. */
export function counter(
  registry: Registry,
  { name, help, labelNames = [] }: MetricHead,
  collect: (add: SetSeries) => void,
): void {
  const created = new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      created.reset();
      collect((value, labels = {}) => created.inc(labels, value));
    },
  });
}
