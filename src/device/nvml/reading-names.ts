import type { ReadingName } from "#metric/reading.ts";
import { eccCalls, fastCalls, memoryCall, pcieCalls, powerUsageCalls, slowCalls } from "./calls.ts";
import { fieldReadings } from "./fields.ts";
import { chipMetrics } from "./gpm-api.ts";

const calls = [
  ...[memoryCall, ...fastCalls, ...slowCalls, ...eccCalls, ...pcieCalls],
  ...Object.values(powerUsageCalls),
];

/** What some GPU and driver of NVIDIA's gives; a MIG instance has less. */
export const nvmlReadings: ReadonlySet<ReadingName> = new Set([
  ...calls.flatMap(({ makes }) => makes),
  ...fieldReadings,
  ...chipMetrics.rows.map(({ makes }) => makes),
]);
