import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { amdCards, cardsFolder } from "./amdgpu/cards.ts";
import { amdgpuCollector } from "./amdgpu/collector.ts";
import type { Collection, Collector, Demand } from "./collector.ts";
import { nvmlCollector } from "./nvml/collector.ts";
import { findLibrary } from "./nvml/library.ts";

export interface AutoCollectorOptions {
  readonly libraryPaths: readonly string[];
  readonly sysfsRoot: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * NVML where its library is there, otherwise AMD's cards where there are any. The first that is found
 * stays: a driver that fails later is no reason to read the other.
 */
export function autoCollector(options: AutoCollectorOptions): Collector {
  const { libraryPaths, sysfsRoot, log } = options;
  const nvml = nvmlCollector(options);
  let chosen: Collector | undefined;

  const choose = (collector: Collector): Collector => {
    chosen = collector;
    log("info", "collector chosen", { collector: collector.name });
    return collector;
  };
  const isAmd = () => findLibrary(libraryPaths) === undefined && amdCards(sysfsRoot).length > 0;

  /** NVML pauses between two looks for its library, so that looking costs nothing. */
  const collectNvml = (demand: Demand): Collection => {
    try {
      const collection = nvml.collect(demand);
      choose(nvml);
      return collection;
    } catch (error) {
      if (error instanceof Fault && error.code === "library-missing")
        throw nothingFound(libraryPaths, sysfsRoot);
      choose(nvml);
      throw error;
    }
  };

  return {
    name: "auto",
    collect: (demand) => {
      if (chosen !== undefined) return chosen.collect(demand);
      return isAmd() ? choose(amdgpuCollector(options)).collect(demand) : collectNvml(demand);
    },
    close: nvml.close,
  };
}

function nothingFound(libraryPaths: readonly string[], sysfsRoot: string): Fault {
  const folder = cardsFolder(sysfsRoot);
  return new Fault(
    "library-missing",
    `Cannot find a GPU: none of ${libraryPaths.join(", ")} is a library that this process can load, ` +
      `and no card in ${folder} has AMD's vendor id 0x1002; mount NVIDIA's driver (runtimeClassName ` +
      "nvidia, or NVIDIA_VISIBLE_DEVICES=all with NVIDIA_DRIVER_CAPABILITIES=utility), name its file " +
      "with --nvml-library, load AMD's driver amdgpu on the node, or use --collector mock",
    { paths: [...libraryPaths, folder] },
  );
}
