export const waveShapes = ["sine", "triangle", "square", "saw"] as const;

/** Starts at `low`; every shape but `saw` spends half of its period rising or high. */
export interface Wave {
  readonly wave: (typeof waveShapes)[number];
  readonly low: number;
  readonly high: number;
  readonly periodSeconds: number;
  /** By how much the wave is ahead. */
  readonly phaseSeconds: number;
}
/** Values one after the other. The last one holds, unless they repeat. */
export interface Steps {
  readonly steps: readonly { readonly forSeconds: number; readonly value: number }[];
  readonly repeat: boolean;
}
/** How a reading moves over time. */
export type MockSignal = number | Wave | Steps;

/** From 0 to 1 and, but for the saw, back, while `turn` goes from 0 to 1. */
const shapes: Record<Wave["wave"], (turn: number) => number> = {
  sine: (turn) => (1 - Math.cos(2 * Math.PI * turn)) / 2,
  triangle: (turn) => 1 - Math.abs(2 * turn - 1),
  square: (turn) => (turn < 0.5 ? 0 : 1),
  saw: (turn) => turn,
};

/** The value of a signal `seconds` after it began; always from its least to its most value. */
export function valueAt(signal: MockSignal, seconds: number): number {
  if (typeof signal === "number") return signal;
  if ("steps" in signal) return stepAt(signal, seconds);
  const { wave, low, high, periodSeconds, phaseSeconds } = signal;
  const share = shapes[wave](remainder(seconds + phaseSeconds, periodSeconds) / periodSeconds);
  // This form, unlike low + share * (high - low), cannot round to a value outside the two.
  return low * (1 - share) + high * share;
}

function stepAt({ steps, repeat }: Steps, seconds: number): number {
  const totalSeconds = steps.reduce((total, { forSeconds }) => total + forSeconds, 0);
  let leftSeconds = repeat ? remainder(seconds, totalSeconds) : seconds;
  for (const { forSeconds, value } of steps) {
    if (leftSeconds < forSeconds) return value;
    leftSeconds -= forSeconds;
  }
  return steps.at(-1)?.value ?? Number.NaN;
}

/** `%` that never is negative. */
function remainder(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}

/** The least and the most value that a signal ever has. */
export function boundsOf(signal: MockSignal): { readonly least: number; readonly most: number } {
  if (typeof signal === "number") return { least: signal, most: signal };
  if (!("steps" in signal)) return { least: signal.low, most: signal.high };
  const values = signal.steps.map(({ value }) => value);
  return { least: Math.min(...values), most: Math.max(...values) };
}
