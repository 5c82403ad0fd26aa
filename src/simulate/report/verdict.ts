/**
 * A plain verdict: who keeps the goal, and who of those costs least.
 *
 * @module
 */
import { formatDuration } from "#core/duration.ts";
import { perCent, plural, rounded } from "./format.ts";
import type { Report, ReportedRun } from "./report.ts";

/** A sentence each, the verdict first, then what explains it. */
export function verdictOf(
  runs: readonly ReportedRun[],
  { withinMs, goalPercent }: Pick<Report, "withinMs" | "goalPercent">,
): readonly string[] {
  const goal = `${goalPercent} % of first tokens within ${formatDuration(withinMs)}`;
  const share = ({ outcome }: ReportedRun) => outcome.withinPercent ?? 100;
  const keeps = (run: ReportedRun) => share(run) >= goalPercent;
  const cheapest = [...runs].sort((one, other) => one.outcome.gpuHours - other.outcome.gpuHours);
  const best = [...runs].sort((one, other) => share(other) - share(one))[0];
  const chosen = cheapest.find(keeps);
  const [only] = runs;
  const reasons = runs.flatMap(reasonsOf);
  if (best === undefined || only === undefined) return [];
  if (runs.length === 1) {
    const { withinPercent, requests } = only.outcome;
    if (withinPercent === undefined)
      return [`No request came, so nothing is known of the goal, ${goal}.`];
    const word = keeps(only) ? "keeps" : "misses";
    const whole = `${only.file} ${word} the goal, ${goal}: it has ${perCent(withinPercent)} of ${requests}`;
    return [`${whole}, for ${rounded(only.outcome.gpuHours)} GPU-hours.`, ...reasons];
  }
  const line = (run: ReportedRun) =>
    `${run.letter} has ${perCent(share(run))} for ${rounded(run.outcome.gpuHours)} GPU-hours`;
  const all = `${runs.map(line).join("; ")}.`;
  if (chosen === undefined)
    return [
      `None keeps the goal, ${goal}; ${best.letter} (${best.file}) comes nearest.`,
      all,
      ...reasons,
    ];
  const others = runs.filter((run) => run !== chosen && keeps(run)).length;
  const among = others === 0 ? "alone" : "with the fewest GPU-hours of those that do";
  return [`${chosen.letter} (${chosen.file}) keeps the goal, ${goal}, ${among}.`, all, ...reasons];
}

/** What a reader would otherwise look for in the numbers. */
function reasonsOf({ letter, outcome, run }: ReportedRun): readonly string[] {
  const { unserved, requests, coldStarts, syncs, syncsWithoutValue, error } = outcome;
  const sentences: string[] = [];
  const last = run.timeline.at(-1);
  if (unserved > 0 && last?.specReplicas === 0)
    sentences.push(
      `${letter}: ${plural(unserved, "request")} of ${requests} were never served, at 0 replicas: nothing woke it; ` +
        "add a trigger on what stands in front, or set minReplicaCount to 1.",
    );
  else if (unserved > 0)
    sentences.push(
      `${letter}: ${plural(unserved, "request")} of ${requests} had no first token at the end.`,
    );
  if (coldStarts > 0)
    sentences.push(`${letter}: ${plural(coldStarts, "request")} came while no replica was ready.`);
  if (syncsWithoutValue > 0)
    sentences.push(
      `${letter}: no value at ${syncsWithoutValue} of ${syncs} syncs of the HPA: ${error}.`,
    );
  return sentences;
}
