import type { CollectorOptions, Vendor } from "#device/collector.ts";
import { nvmlCollector } from "./collector.ts";
import { findLibrary, nvmlLibraryPaths } from "./library.ts";

/** NVIDIA's GPUs, where the driver's library can be loaded. */
export const nvmlVendor: Vendor = {
  name: "nvml",
  collector: (options, tools) => nvmlCollector({ ...tools, libraryPaths: pathsOf(options) }),
  isPresent: (options) => findLibrary(pathsOf(options)) !== undefined,
  absence: (options) => {
    const paths = pathsOf(options);
    return {
      paths,
      problem: `none of ${paths.join(", ")} is a library that this process can load`,
      remedy:
        "mount NVIDIA's driver (runtimeClassName nvidia, or NVIDIA_VISIBLE_DEVICES=all with " +
        "NVIDIA_DRIVER_CAPABILITIES=utility), name its file with --nvml-library",
    };
  },
};

function pathsOf({ nvmlLibrary }: CollectorOptions): readonly string[] {
  return nvmlLibrary === undefined ? nvmlLibraryPaths : [nvmlLibrary];
}
