/**
 * What people use without this scaler, as scalers of the simulation: numbers that pass through
 * Prometheus, which scrapes every 15 s and evaluates its rules every 30 s.
 */

import type { MetricType } from "#kubernetes/hpa.ts";
import type { Product } from "#simulate/product/product.ts";
import type { Simulation } from "#simulate/simulation.ts";

const scrapeMs = 15_000;
const evaluationMs = 30_000;
/** Neither waits for the other, nor for KEDA or the HPA. */
const scrapePhaseMs = 3_000;
const evaluationPhaseMs = 11_000;

export interface Practice {
  readonly metricType: MetricType;
  readonly target: number;
  /** What a scrape of all engines or devices finds; `undefined` where there is none. */
  readonly scraped: (simulation: Simulation) => number | undefined;
}

/** Requests that wait in the engines, five for each replica. */
export const queueThreshold: Practice = {
  metricType: "AverageValue",
  target: 5,
  scraped: ({ pods }) => {
    const ready = pods.all().filter(({ phase }) => phase === "ready");
    return ready.reduce((sum, { engine }) => sum + engine.waiting(), 0);
  },
};

/** The highest utilization of all devices in use: what a query over an exporter's series gives. */
export const highestUtilization: Practice = {
  metricType: "Value",
  target: 80,
  scraped: ({ cluster }) => {
    const used = cluster.nodes.flat().filter(({ holders }) => holders.size > 0);
    const all = used.map((device) => cluster.utilizationOf(device));
    return all.length === 0 ? undefined : Math.max(...all);
  },
};

/** Prometheus and KEDA's scaler for it, in place of this scaler. */
export function throughPrometheus(practice: Practice): (simulation: Simulation) => Product {
  return (simulation) => {
    let scraped: number | undefined;
    let evaluated: number | undefined;
    const { metricType, target } = practice;
    return {
      metrics: [{ metricType, targetMilli: target * 1000 }],
      readsDevices: false,
      readsWindows: false,
      readsEngines: false,
      watch: () => {
        const nowMs = simulation.nowMs();
        if (nowMs % scrapeMs === scrapePhaseMs) scraped = practice.scraped(simulation);
        if (nowMs % evaluationMs === evaluationPhaseMs) evaluated = scraped;
      },
      scaler: () => ({
        ask: () =>
          evaluated === undefined
            ? { error: "no series" }
            : { value: evaluated, isActive: evaluated > 0 },
        isActive: () => undefined,
        sample: () => {},
        prepare: () => undefined,
        restart: () => {},
      }),
    };
  };
}
