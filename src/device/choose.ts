import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { Collector, CollectorOptions } from "./collector.ts";
import { mockCollector } from "./mock/collector.ts";
import { nvmlCollector } from "./nvml/collector.ts";
import { nvmlLibraryPaths } from "./nvml/library.ts";

/** What a collector may use of the thread it runs on. */
export interface CollectorTools {
  readonly clock: Clock;
  readonly log: Log;
  /** Blocks the thread, as a driver call does; `Infinity` blocks it for ever. */
  readonly sleep: (ms: number) => void;
}
type Make = (options: CollectorOptions, tools: CollectorTools) => Collector;

const nvml: Make = ({ nvmlLibrary }, { clock, log }) =>
  nvmlCollector({
    libraryPaths: nvmlLibrary === undefined ? nvmlLibraryPaths : [nvmlLibrary],
    clock,
    log,
  });

/** `auto` never means the mock: it would make numbers up. */
const makers: { readonly [Name in CollectorOptions["collector"]]: Make } = {
  auto: nvml,
  nvml,
  mock: ({ mockFile }, tools) => mockCollector({ ...tools, file: mockFile }),
};

/** The collector that the options ask for. It opens nothing before its first `collect`. */
export function chooseCollector(options: CollectorOptions, tools: CollectorTools): Collector {
  return makers[options.collector](options, tools);
}
