import { setNewest } from "./bounded-map.ts";
import type { Clock } from "./clock.ts";
import { digest } from "./digest.ts";
import { logRepeatMs, logRepeatsMax } from "./limits.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ["json", "text"] as const;
export type LogFormat = (typeof logFormats)[number];

export type Facts = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;
/** `event` is a fixed phrase that a query can match; facts carry their units in their names. */
export type Log = (level: LogLevel, event: string, facts?: Facts) => void;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly write: (line: string) => void;
  readonly clock: Clock;
}

/**
 * One line an entry. The same event with the same facts is written once in `logRepeatMs`, and the
 * line that follows says how many were held back, so that a storm of bad calls cannot fill a disk.
 * Debug lines are all written: whoever asks for them wants each.
 */
export function lineLog({ level: least, format, write, clock }: LogOptions): Log {
  const repeats = repeatFilter(clock);
  return (level, event, facts = {}) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(least)) return;
    const suppressed =
      level === "debug" ? 0 : repeats(`${level} ${event} ${JSON.stringify(facts)}`);
    if (suppressed === undefined) return;
    const entry = suppressed === 0 ? facts : { ...facts, suppressed };
    const at = new Date(clock.wallMs()).toISOString();
    write(
      format === "json"
        ? `${JSON.stringify({ at, level, event, ...entry })}\n`
        : `${at} ${level.toUpperCase().padEnd(5)} ${event}${textFacts(entry)}\n`,
    );
  };
}

/** Says of each line how many like it were held back before, `undefined` when it is to be held. */
function repeatFilter({ monotonicMs }: Clock): (line: string) => number | undefined {
  const held = new Map<string, { readonly untilMs: number; suppressed: number }>();
  return (line) => {
    const nowMs = monotonicMs();
    const key = digest(line);
    const earlier = held.get(key);
    if (earlier !== undefined && nowMs < earlier.untilMs) {
      earlier.suppressed += 1;
      return undefined;
    }
    setNewest(held, key, { untilMs: nowMs + logRepeatMs, suppressed: 0 }, logRepeatsMax);
    return earlier?.suppressed ?? 0;
  };
}

function textFacts(facts: Facts): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    .join("");
}
