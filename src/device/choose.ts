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

/** The collector that the options ask for. `auto` never means the mock: it would make numbers up. */
export function chooseCollector(options: CollectorOptions, tools: CollectorTools): Collector {
  const { collector, mockFile, nvmlLibrary } = options;
  if (collector === "mock") return mockCollector({ ...tools, file: mockFile });
  const libraryPaths = nvmlLibrary === undefined ? nvmlLibraryPaths : [nvmlLibrary];
  return nvmlCollector({ ...tools, libraryPaths });
}
