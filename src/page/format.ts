/**
 * Numbers and times as people read them.
 *
 * @module
 */
export function number(value: number | undefined): string {
  if (value === undefined) return "–";
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 1;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** `4 s`, `3 min`, `2 h`, `5 d`: how long ago or for how long. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

export function timeOfDay(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function gibibytes(bytes: number | undefined): string {
  return bytes === undefined ? "–" : number(bytes / 1024 ** 3);
}
