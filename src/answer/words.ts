import type { FleetDevice } from "#fleet/view.ts";

/** More names than this make a message that nobody reads; the fault's facts carry all. */
const listedMax = 8;

export function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  const more = names.length - listedMax;
  return `${names.slice(0, listedMax).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

export function label({ index, uuid, model }: FleetDevice): string {
  return `GPU ${index} (${model}, ${uuid})`;
}

export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
