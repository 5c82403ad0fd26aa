import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { type Asked, insteadOf, type Part, type PartOf } from "./part.ts";
import { label, listed } from "./words.ts";

/** Something that should count and cannot now. */
export interface Absent {
  /** A device or an agent, for people. */
  readonly name: string;
  readonly reason: string;
  /** Left out where it comes with the next sample. */
  readonly sinceMs?: number;
}

/** The parts of one set of devices, in their groups. */
export interface Grouped {
  readonly known: readonly PartOf<"known">[];
  readonly absent: readonly Absent[];
}

export function grouped(parts: readonly Part[], others: readonly Absent[] = []): Grouped {
  const known: PartOf<"known">[] = [];
  const absent = [...others];
  for (const part of parts) {
    const { device, state } = part;
    if (state === "known") known.push(part);
    else if (state === "pending") absent.push({ name: label(device), reason: part.reason });
    else if (state === "missing") {
      const { reason, sinceMs } = part;
      absent.push({ name: label(device), reason, sinceMs });
    }
  }
  return { known, absent };
}

/** What devices without the metric are told, who could never have been waited for. */
export function unsupported(parts: readonly Part[], asked: Asked, where: string): Fault {
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
 * The rule that keeps a set of devices from having a value; `undefined` when it has one.
 *
 * While a part is missing and may come back there is no value. A part that has been missing for
 * longer than the grace is left out, so that one broken device cannot block scaling in for ever,
 * unless that leaves fewer than half.
 */
export function obstacle({ known, absent }: Grouped, nowMs: number): string | undefined {
  const isAwaited = ({ sinceMs }: Absent) =>
    sinceMs === undefined || nowMs - sinceMs <= missingGraceMs;
  if (absent.some(isAwaited))
    return `a device that goes missing is waited for ${missingGraceMs / 1000} s`;
  return known.length === 0 || known.length < absent.length
    ? "at least half of the devices must be known"
    : undefined;
}

/** Which part is absent and why, for people. */
export function absences({ absent }: Grouped): readonly string[] {
  return absent.map(({ name, reason }) => `${name}: ${reason}`);
}
