import type { CollectorOptions } from "#device/collector.ts";
import { contradiction } from "./command.ts";
import { choice, type FlagValues, file, flag } from "./flags.ts";

/** Of every command that reads devices. */
export const collectorFlags = {
  collector: flag(choice(["auto", "nvml", "mock"]), {
    fallback: "auto",
    help: "Where readings come from; auto takes the vendor's library, never the mock",
  }),
  "nvml-library": flag(file, { help: "libnvidia-ml.so.1, when it is not where drivers put it" }),
  mock: flag(file, {
    help: "YAML file that the mock collector plays; without it, its own default",
  }),
} as const;

/** @throws {Fault} `usage-invalid` when the flags contradict each other. */
export function collectorOptions(flags: FlagValues<typeof collectorFlags>): CollectorOptions {
  const { collector, mock, "nvml-library": nvmlLibrary } = flags;
  const choose = "choose a collector";
  if (mock !== undefined && collector !== "mock")
    throw contradiction(choose, `--mock is for --collector mock, got --collector ${collector}`);
  if (nvmlLibrary !== undefined && collector === "mock")
    throw contradiction(
      choose,
      "--nvml-library is for --collector nvml or auto, got --collector mock",
    );
  return { collector, nvmlLibrary, mockFile: mock };
}
