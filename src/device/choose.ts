import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import type { Collector, CollectorOptions } from "./collector.ts";
import { mockCollector } from "./mock/collector.ts";

/** What a collector may use of the thread it runs on. */
export interface CollectorTools {
  readonly clock: Clock;
  readonly log: Log;
  /** Blocks the thread, as a driver call does; `Infinity` blocks it for ever. */
  readonly sleep: (ms: number) => void;
}
type Make = (options: CollectorOptions, tools: CollectorTools) => Collector;

/** `auto` never means the mock: it would make numbers up. */
const makers: { readonly [Name in CollectorOptions["collector"]]?: Make } = {
  mock: ({ mockFile }, tools) => mockCollector({ ...tools, file: mockFile }),
};

/**
 * The collector that the options ask for.
 *
 * @throws {Fault} `library-missing` when this build has no such collector.
 */
export function chooseCollector(options: CollectorOptions, tools: CollectorTools): Collector {
  const make = makers[options.collector];
  if (make !== undefined) return make(options, tools);
  const has = Object.keys(makers).join(", ");
  const message = `Cannot collect with ${options.collector}: this build has ${has}; choose one of them`;
  throw new Fault("library-missing", message, { paths: [] });
}
