import { assert } from "#core/assert.ts";
import type { Vendor } from "#device/collector.ts";
import { exporterCollector } from "./collector.ts";
import { exporterNames } from "./tables.ts";

/** Devices of any vendor, where the options name an exporter of the node. */
export const exporterVendor: Vendor = {
  name: "exporter",
  collector: ({ exporter }, tools) => {
    assert(exporter !== undefined, "an exporter is read where the options name one");
    return exporterCollector(exporter, tools);
  },
  isPresent: ({ exporter }) => exporter !== undefined,
  absence: () => ({
    paths: [],
    problem: "no exporter is named",
    remedy: `name one with --exporter (${exporterNames.join(", ")}, or a file)`,
  }),
};
