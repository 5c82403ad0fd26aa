import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { type Asked, insteadOf, type Part, type PartOf } from "./part.ts";
import { label, listed } from "./words.ts";

/** Parts in their groups; at least one device could have the metric. */
export interface Grouped {
  readonly known: readonly PartOf<"known">[];
  /** Expected with the next sample, or gone. */
  readonly absent: readonly (PartOf<"missing"> | PartOf<"pending">)[];
}

/** @throws {Fault} `metric-unsupported` where no device has the metric. */
export function grouped(parts: readonly Part[], asked: Asked, where: string): Grouped {
  const known: PartOf<"known">[] = [];
  const absent: Grouped["absent"][number][] = [];
  for (const part of parts)
    if (part.state === "known") known.push(part);
    else if (part.state === "missing" || part.state === "pending") absent.push(part);
  if (known.length + absent.length === 0) throw unsupported(parts, asked, where);
  return { known, absent };
}

function unsupported(parts: readonly Part[], asked: Asked, where: string): Fault {
  const devices = parts.map(({ device }) => device);
  const names = devices.map(label);
  const instead = insteadOf(asked, devices);
  const advice =
    instead.length > 0
      ? `use metricType ${instead.join(" or ")} instead`
      : "choose another metricType; nothing that stands in for it is read there";
  return new Fault(
    "metric-unsupported",
    `Cannot answer ${asked.metric} for ${where}: ` +
      `${listed(names)} ${names.length === 1 ? "does" : "do"} not support it; ${advice}`,
    { metric: asked.metric, devices: names },
  );
}

/**
 * The parts that a value may be made of.
 *
 * Nobody here knows how many replicas stand behind a node, so no floor can protect them: while a
 * part is missing and may come back there is no value, and KEDA holds the replicas. A part that has
 * been missing for longer than the grace is left out, so that one broken device cannot block
 * scaling in for ever, unless that leaves fewer than half.
 *
 * @throws {Fault} `data-missing`.
 */
export function enough(
  { known, absent }: Grouped,
  nowMs: number,
  asked: Asked,
  where: string,
): readonly [PartOf<"known">, ...PartOf<"known">[]] {
  const awaited = absent.filter(
    (part) => part.state === "pending" || nowMs - part.sinceMs <= missingGraceMs,
  );
  const [first, ...rest] = known;
  if (first !== undefined && awaited.length === 0 && known.length >= absent.length)
    return [first, ...rest];
  const rule =
    awaited.length > 0
      ? `a device that goes missing is waited for ${missingGraceMs / 1000} s`
      : "at least half of the devices must be known";
  throw missing({ known, absent }, asked, where, rule);
}

function missing({ known, absent }: Grouped, asked: Asked, where: string, rule: string): Fault {
  const names = absent.map(({ device, reason }) => `${label(device)}: ${reason}`);
  return new Fault(
    "data-missing",
    `Cannot answer ${asked.metric} for ${where}: ${known.length} of ` +
      `${known.length + absent.length} devices are known, and ${rule}; ` +
      `look into ${listed(names)}`,
    { known: known.length, missing: names },
  );
}
