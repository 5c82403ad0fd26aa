/** Numbers as people read them. */

/** Milliseconds in the unit that fits. */
export function shortMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return shortSeconds(ms / 1000);
}

/** Seconds as minutes or hours with what is left. */
export function shortSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${rest}s` : `${rest}s`;
}

export function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

/** Cut, not rounded, so that 100 % means all. */
export function perCent(value: number): string {
  return `${(Math.floor(value * 10 + 1e-9) / 10).toFixed(1)} %`;
}

export function plural(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}
