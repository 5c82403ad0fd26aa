import { unlessFault } from "#core/fault.ts";
import type { CollectorOptions, Vendor } from "#device/collector.ts";
import { amdCards, cardsFolder } from "./cards.ts";
import { amdgpuCollector } from "./collector.ts";

/** AMD's GPUs, where the kernel's driver lists cards of theirs. */
export const amdgpuVendor: Vendor = {
  name: "amdgpu",
  collector: (options, tools) => amdgpuCollector({ ...tools, sysfsRoot: rootOf(options) }),
  isPresent: (options) => (unlessFault(() => amdCards(rootOf(options)))?.length ?? 0) > 0,
  absence: (options) => {
    const folder = cardsFolder(rootOf(options));
    return {
      paths: [folder],
      problem: `no card in ${folder} has AMD's vendor id 0x1002`,
      remedy: "load AMD's driver amdgpu on the node",
    };
  },
};

function rootOf({ sysfsRoot = "/sys" }: CollectorOptions): string {
  return sysfsRoot;
}
