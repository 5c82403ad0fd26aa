import { assert } from "#core/assert.ts";
import { type ReducerName, reducers } from "#metric/reduce.ts";
import type { DeviceShare } from "./answer.ts";
import type { Part, PartOf, Wanted } from "./part.ts";

/** The first reduction: the devices of one set. `undefined` when there is none. */
export function reduceParts(
  aggregation: ReducerName,
  known: readonly PartOf<"known">[],
): number | undefined {
  const [first, ...rest] = known.map(({ value }) => value);
  if (first === undefined) return undefined;
  const reduced = reducers[aggregation]([first, ...rest]);
  assert(Number.isFinite(reduced), `${aggregation} of plausible readings is finite`);
  return reduced;
}

export function deviceShare(part: Part, nowMs: number): DeviceShare {
  const { node, uuid, index, sampledAtMs } = part.device;
  const identity = { node, uuid, index, ageMs: nowMs - sampledAtMs };
  return part.state === "known"
    ? { ...identity, value: part.value }
    : { ...identity, reason: part.reason };
}

export function windowWords({ windowSeconds }: Wanted): string {
  return windowSeconds > 0 ? `means over ${windowSeconds} s` : "newest readings";
}
