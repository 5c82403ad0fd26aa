import { type CollectorOptions, collectorNames } from "#device/collector.ts";
import { contradiction } from "./command.ts";
import { choice, directory, type FlagValues, file, flag } from "./flags.ts";

/** Of every command that reads devices. */
export const collectorFlags = {
  collector: flag(choice(collectorNames), {
    fallback: "auto",
    help: "Where readings come from; auto takes all vendors that are there, never the mock",
  }),
  "nvml-library": flag(file, { help: "libnvidia-ml.so.1, when it is not where drivers put it" }),
  "sysfs-root": flag(directory, {
    help: "Where AMD GPUs are read from, when sysfs is not mounted at /sys",
  }),
  mock: flag(file, {
    help: "YAML file that the mock collector plays; without it, its own default",
  }),
} as const;

/** @throws {Fault} `usage-invalid` when the flags contradict each other. */
export function collectorOptions(flags: FlagValues<typeof collectorFlags>): CollectorOptions {
  const { collector, mock, "nvml-library": nvmlLibrary, "sysfs-root": sysfsRoot } = flags;
  const choose = "choose a collector";
  if (mock !== undefined && collector !== "mock")
    throw contradiction(choose, `--mock is for --collector mock, got --collector ${collector}`);
  if (nvmlLibrary !== undefined && collector !== "nvml" && collector !== "auto")
    throw contradiction(
      choose,
      `--nvml-library is for --collector nvml or auto, got --collector ${collector}`,
    );
  if (sysfsRoot !== undefined && collector !== "amdgpu" && collector !== "auto")
    throw contradiction(
      choose,
      `--sysfs-root is for --collector amdgpu or auto, got --collector ${collector}`,
    );
  return { collector, nvmlLibrary, sysfsRoot, mockFile: mock };
}
