/**
 * A report for programs. Times are in the unit that a name ends in; what is not known has no key.
 *
 * @module
 */
import type { Report } from "./report.ts";

export function jsonReport(report: Report): string {
  const { load, replica, seconds, seed, withinMs, goalPercent, gpuHourPrice, verdict } = report;
  const document = {
    load,
    replica,
    seconds,
    seed,
    withinMs,
    goalPercent,
    gpuHourPrice,
    verdict,
    runs: report.runs.map(({ letter, file, name, warnings, outcome, run }) => ({
      letter,
      file,
      name,
      warnings,
      ...outcome,
      events: run.events,
      timeline: run.timeline,
    })),
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}
