/**
 * Request traces in CSV, in the form of the traces that Azure published.
 *
 * Source: Azure/AzurePublicDataset, AzureLLMInferenceDataset2023: columns `TIMESTAMP`,
 * `ContextTokens` and `GeneratedTokens`, lines that end in CRLF.
 *
 * @module
 */
import { inputProblemsMax, requestTokensMax, simulatedRequestsMax } from "#core/limits.ts";
import type { Trace } from "#simulate/scenario.ts";
import type { InputResult } from "./input-result.ts";

const columns = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] as const;

/**
 * @param csv A heading with at least the three columns, then a request a line, by time. A time is a
 * date, in UTC where it says no zone, or seconds; the first request comes at the start.
 */
export function parseTrace(csv: string): InputResult<Trace> {
  const lines = csv.split(/\r?\n/);
  const heading = (lines[0] ?? "").replace(/^\uFEFF/, "").split(",");
  const at = columns.map((name) => heading.findIndex((one) => one.trim() === name));
  const missing = columns.filter((_name, index) => at[index] === -1);
  if (missing.length > 0)
    return {
      problems: [
        `line 1: must name the columns ${columns.join(", ")}, got none of ${missing.join(", ")}`,
      ],
    };

  const problems: string[] = [];
  const trace = { atMs: [], promptTokens: [], outputTokens: [] } as Record<keyof Trace, number[]>;
  let firstMs: number | undefined;
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === "") continue;
    const cells = line.split(",");
    const [time = "", prompt = "", output = ""] = at.map((column) => cells[column]?.trim());
    const ms = timeMs(time);
    const row = [
      ...timeProblem(time, ms, lastMs),
      ...tokenProblem("ContextTokens", prompt),
      ...tokenProblem("GeneratedTokens", output),
    ];
    problems.push(...row.map((problem) => `line ${index + 1}: ${problem}`));
    if (problems.length >= inputProblemsMax) break;
    if (row.length > 0 || ms === undefined) continue;
    firstMs ??= ms;
    lastMs = ms;
    trace.atMs.push(ms - firstMs);
    trace.promptTokens.push(Number(prompt));
    trace.outputTokens.push(Number(output));
  }
  if (problems.length > 0) return { problems };
  const { length } = trace.atMs;
  if (length === 0) return { problems: ["line 2: must be a request, got nothing"] };
  if (length > simulatedRequestsMax)
    return {
      problems: [`the file: must have at most ${simulatedRequestsMax} requests, got ${length}`],
    };
  return { value: trace };
}

/** Milliseconds, with the fraction that a date's seconds have beyond them. */
function timeMs(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const [, day, time, fraction = "", zone = ""] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(text) ?? [];
  if (day === undefined) return undefined;
  const ms = Date.parse(`${day}T${time}${zone || "Z"}`) + Number(`0${fraction}`) * 1000;
  return Number.isNaN(ms) ? undefined : ms;
}

function timeProblem(text: string, ms: number | undefined, lastMs: number): readonly string[] {
  if (ms === undefined)
    return [
      `TIMESTAMP must be a date such as 2023-11-16 18:15:46.68, or seconds, got ${JSON.stringify(text)}`,
    ];
  return ms < lastMs ? [`TIMESTAMP must not be before that of the line above, got ${text}`] : [];
}

function tokenProblem(column: string, text: string): readonly string[] {
  const isFine = /^\d{1,8}$/.test(text) && Number(text) <= requestTokensMax;
  return isFine
    ? []
    : [
        `${column} must be a whole number from 0 to ${requestTokensMax}, got ${JSON.stringify(text)}`,
      ];
}
