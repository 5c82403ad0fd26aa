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

export function timeOfDay(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function gibibytes(bytes: number | undefined): string {
  return bytes === undefined ? "–" : number(bytes / 1024 ** 3);
}
