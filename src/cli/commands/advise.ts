/**
 * `advise`: which signal and target fit a workload, from how it was used in the last hours.
 *
 * @module
 */
import { command, exitCodes } from "#cli/command.ts";
import { choice, flag } from "#cli/flags.ts";
import { objectNamed, objectOperand, objectText, unknownObject } from "#cli/object-operand.ts";
import { jsonText, type StatusClient, serverFlag, statusClient } from "#cli/status-client.ts";
import { terminalColumns } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import { headedLines, proseLines } from "#core/text-lines.ts";
import type { WorkloadAdvice } from "#observe/advice/advice.ts";
import type { Recommendation } from "#observe/advice/recommendation.ts";
import type { UsageSummary } from "#observe/advice/usage-summary.ts";
import type { ScaledName } from "#observe/status.ts";

export const adviseCommand = command("advise", {
  summary: "Say which signal and target fit a workload, by its last hours",
  flags: {
    ...serverFlag,
    output: flag(choice(["text", "json"]), { fallback: "text", help: "json has the evidence" }),
  },
  operands: {
    ...objectOperand,
    help: "One object; without it, a line for each that something is recommended for",
  },
  examples: [
    "kubectl -n keda port-forward deployment/keda-gpu-scaler 9090 &\nkeda-gpu-scaler advise team-a/llama",
    "keda-gpu-scaler advise --output json",
  ],
  run: async ({ flags: { server, output }, operands: [operand] }, { stdout }) => {
    const client = statusClient(server);
    const object = operand === undefined ? undefined : objectNamed(operand);
    const advice = await client.advice(object);
    const [first] = advice;
    if (object !== undefined && first === undefined) await checkKnown(client, object);
    if (output === "json") stdout(jsonText(advice));
    else if (object === undefined) stdout(listText(advice));
    else stdout(first === undefined ? unobservedText(object) : adviceText(first));
    return exitCodes.done;
  },
});

async function checkKnown(client: StatusClient, object: ScaledName): Promise<void> {
  const status = await client.status();
  const isKnown = status.triggers.some((row) => objectText(row) === objectText(object));
  if (!isKnown) throw unknownObject("advise", object, status);
}

function unobservedText(object: ScaledName): string {
  const text =
    `Nothing was observed of ${objectText(object)} yet: a ScaledObject that names this scaler is ` +
    "looked at once a minute, and a ScaledJob not at all.";
  return linesText(proseLines(text, terminalColumns));
}

function listText(advice: readonly WorkloadAdvice[]): string {
  if (advice.length === 0)
    return "Nothing is recommended for any ScaledObject, by what was observed so far.\n";
  return linesText(
    advice.flatMap((one) => {
      const codes = one.recommendations.map(({ code }) => code).join(", ");
      const text = `${objectText(one)} (seen for ${spanText(one.summary.observedMs)}): ${codes}`;
      return proseLines(text, terminalColumns);
    }),
  );
}

function adviceText(advice: WorkloadAdvice): string {
  const { summary, engine, triggers, lacking, recommendations } = advice;
  const read = triggers.map(({ metric, target }) => `${metric} with target ${target}`);
  return linesText([
    objectText(advice),
    ...rowLines("observed", `${observedText(summary)}${replicasText(summary)}`),
    ...rowLines("reads", read.join(" and ") || "nothing: its trigger cannot be used"),
    ...(engine === undefined ? [] : rowLines("engine", engine)),
    ...(lacking === undefined ? [] : rowLines("lacking", lacking)),
    ...recommendations.flatMap(recommendationLines),
    ...(recommendations.length > 0 ? ["", ...nextLines(advice)] : nothingLines(lacking)),
  ]);
}

function observedText({ observedMs, observedMinutes, busyMinutes, idleMinutes }: UsageSummary) {
  return `seen for ${spanText(observedMs)}, ${busyMinutes} of ${observedMinutes} minutes busy and ${idleMinutes} idle`;
}

function replicasText({ replicas }: UsageSummary): string {
  if (replicas === undefined) return "";
  const { least, most } = replicas;
  return least === most ? `, ${most} replicas` : `, ${least} to ${most} replicas`;
}

function recommendationLines(recommendation: Recommendation, at: number): readonly string[] {
  const { code, level, text, why } = recommendation;
  const trigger = triggerText(recommendation);
  return [
    "",
    `  ${at + 1}. ${code}${level === "note" ? " (note)" : ""}`,
    ...rowLines("do", text),
    ...rowLines("why", why),
    ...(trigger === undefined ? [] : rowLines("metadata", trigger)),
  ];
}

/** As YAML has it. */
function triggerText({ metadata, metricType }: Recommendation): string | undefined {
  if (metadata === undefined) return undefined;
  const keys = Object.entries(metadata).map(([key, value]) =>
    /^[\d.]+$/.test(value) ? `${key}: "${value}"` : `${key}: ${value}`,
  );
  return `${keys.join(", ")}${metricType === undefined ? "" : `; beside it, metricType: ${metricType}`}`;
}

function nextLines({ recommendations }: WorkloadAdvice): readonly string[] {
  const isToChange = recommendations.some(({ level }) => level === "change");
  if (!isToChange) return [];
  const text =
    "keda-gpu-scaler simulate --scaledobject OLD.yaml --compare NEW.yaml plays both over one load " +
    "before anything is changed";
  return rowLines("next", text);
}

function nothingLines(lacking: string | undefined): readonly string[] {
  return lacking === undefined
    ? ["", ...rowLines("", "Nothing is recommended: what was observed fits its triggers.")]
    : [];
}

function rowLines(head: string, text: string): readonly string[] {
  return headedLines(`  ${head.padEnd("observed".length)}  `, text, terminalColumns);
}

function linesText(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
