/**
 * Loads in one line: `2 rps for 10m, ramp 2..20 rps over 5m, 20 rps for 10m, 0 rps for 15m`.
 *
 *     load    = segment { "," segment }
 *     segment = RATE "rps" "for" DURATION | "ramp" RATE ".." RATE "rps" "over" DURATION
 *
 * A rate is a decimal number of requests a second, a duration what Kubernetes tools write: `90s`,
 * `10m`, `1.5h`.
 *
 * @module
 */
import { parseDurationMs } from "#core/duration.ts";
import { loadPerSecondMax, loadSecondsMax, simulatedRequestsMax } from "#core/limits.ts";
import type { LoadRate, RatePoint } from "#simulate/scenario.ts";
import type { InputResult } from "./input-result.ts";

/** A load that ends. */
export interface LoadExpression {
  readonly seconds: number;
  readonly rate: LoadRate;
}

const forms = '"RATE rps for DURATION" or "ramp RATE..RATE rps over DURATION"';

export function parseLoad(text: string): InputResult<LoadExpression> {
  const problems: string[] = [];
  const points: RatePoint[] = [];
  let seconds = 0;
  let requests = 0;
  for (const [index, segment] of text.split(",").entries()) {
    const own = parseSegment(segment.trim());
    if (own === undefined) {
      problems.push(`segment ${index + 1} must be ${forms}, got ${JSON.stringify(segment.trim())}`);
      continue;
    }
    const { from, to, durationMs } = own;
    if (Math.max(from, to) > loadPerSecondMax)
      problems.push(`segment ${index + 1} must have at most ${loadPerSecondMax} rps`);
    points.push({ atSecond: seconds, perSecond: from });
    seconds += durationMs / 1000;
    requests += ((from + to) / 2) * (durationMs / 1000);
    points.push({ atSecond: seconds, perSecond: to });
  }
  if (problems.length > 0) return { problems };
  if (seconds < 1 || seconds > loadSecondsMax)
    return { problems: [`all segments must last from 1s to ${loadSecondsMax / 3600}h together`] };
  if (requests > simulatedRequestsMax)
    return {
      problems: [`all segments must have at most ${simulatedRequestsMax} requests together`],
    };
  return { value: { seconds: Math.ceil(seconds), rate: { kind: "ramps", points } } };
}

interface Segment {
  readonly from: number;
  readonly to: number;
  readonly durationMs: number;
}

function parseSegment(text: string): Segment | undefined {
  const [, constant, constantFor] = /^(\d+(?:\.\d+)?)\s*rps\s+for\s+(\S+)$/.exec(text) ?? [];
  const [, from, to, rampOver] =
    /^ramp\s+(\d+(?:\.\d+)?)\s*\.\.\s*(\d+(?:\.\d+)?)\s*rps\s+over\s+(\S+)$/.exec(text) ?? [];
  const durationMs = parseDurationMs(constantFor ?? rampOver ?? "");
  if (durationMs === undefined) return undefined;
  return { from: Number(constant ?? from), to: Number(constant ?? to), durationMs };
}
