/**
 * `explain`: why a workload has the value that it has, and what the HPA does with it.
 *
 * @module
 */

import type { Explanation } from "#answer/explanation.ts";
import { command, exitCodes } from "#cli/command.ts";
import { choice, flag } from "#cli/flags.ts";
import { objectNamed, objectOperand, unknownObject } from "#cli/object-operand.ts";
import { jsonText, serverFlag, statusClient } from "#cli/status-client.ts";
import { stateText, triggerColumns } from "#cli/status-text.ts";
import { terminalColumns } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import { columnLines, headedLines } from "#core/text-lines.ts";
import type { ExplainedTrigger, Status } from "#observe/status.ts";

export const explainCommand = command("explain", {
  summary: "Say why a workload has its value, and what the HPA does with it",
  flags: {
    ...serverFlag,
    output: flag(choice(["text", "json"]), { fallback: "text", help: "json has every field" }),
  },
  operands: objectOperand,
  examples: [
    "kubectl -n keda port-forward deployment/keda-gpu-scaler 9090 &\nkeda-gpu-scaler explain team-a/llama",
    "keda-gpu-scaler explain --output json",
  ],
  run: async ({ flags: { server, output }, operands: [operand] }, { stdout, clock }) => {
    const client = statusClient(server);
    if (operand === undefined) {
      const status = await client.status();
      stdout(output === "json" ? jsonText(status.triggers) : listText(status));
      return exitCodes.done;
    }
    const object = objectNamed(operand);
    const triggers = await client.explain(object);
    if (triggers.length === 0) throw unknownObject("explain", object, await client.status());
    stdout(
      output === "json"
        ? jsonText(triggers)
        : triggers.map((each) => explainedText(each, clock.wallMs())).join("\n"),
    );
    return exitCodes.done;
  },
});

function listText(status: Status): string {
  if (status.triggers.length === 0)
    return "No ScaledObject names this scaler yet, and nobody has asked.\n";
  return `${columnLines(triggerColumns(status)).join("\n")}\n`;
}

function explainedText(trigger: ExplainedTrigger, nowMs: number): string {
  const { namespace, name, value, activity, warnings, hpaText, changes } = trigger;
  const { metricName, target, unit } = trigger.trigger ?? {};
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["state", stateText(trigger)],
    ["value", value?.result === undefined ? undefined : `${value.result} ${unit}`],
    ["target", target === undefined ? undefined : `${target} ${unit} in each replica`],
    ["because", value?.fault === undefined ? value?.rule : undefined],
    ["the HPA", hpaText],
    ["activity", activity?.fault === undefined ? activity?.rule : undefined],
    ["no value", value?.fault?.message],
    [
      "no activity",
      activity?.fault?.message === value?.fault?.message ? undefined : activity?.fault?.message,
    ],
    ["power", trigger.powerWatts === undefined ? undefined : `${Math.round(trigger.powerWatts)} W`],
    ["KEDA asked", askedText(trigger, nowMs)],
    ...warnings.map(({ message }) => ["warning", message] as const),
  ];
  const width = Math.max(...facts.map(([head]) => head.length));
  const explanation = trigger.valueExplanation ?? trigger.activityExplanation;
  return [
    `${namespace}/${name}  ${metricName ?? "a trigger that cannot be used"}`,
    ...facts.flatMap(([head, text]) =>
      text === undefined ? [] : headedLines(`  ${head.padEnd(width)}  `, text, terminalColumns),
    ),
    ...(explanation === undefined ? [] : contributions(explanation)),
    ...(changes.length === 0 ? [] : ["", "  WHAT CHANGED"]),
    ...changes
      .toReversed()
      .flatMap(({ atMs, text }) =>
        headedLines(`  ${spanText(nowMs - atMs).padStart(7)} ago  `, text, terminalColumns),
      ),
    "",
  ].join("\n");
}

function askedText({ askedAtMs }: ExplainedTrigger, nowMs: number): string {
  if (askedAtMs !== undefined) return `${spanText(nowMs - askedAtMs)} ago`;
  return "not this process since it started; it may ask another replica of the scaler";
}

/** Which pods, devices and engines made the answer. */
function contributions({ workload, devices, engines = [] }: Explanation): readonly string[] {
  const shown = (value: number | undefined) => (value === undefined ? "-" : `${value}`);
  const table = (heads: readonly string[], rows: readonly (readonly string[])[]) =>
    rows.length === 0 ? [] : ["", ...columnLines([heads, ...rows]).map((line) => `  ${line}`)];
  return [
    ...table(
      ["POD", "NODE", "STATE", "VALUE", "WHY"],
      (workload?.pods ?? []).map(({ name, node = "-", state, value, reason = "" }) => [
        name,
        node,
        state,
        shown(value),
        reason,
      ]),
    ),
    ...table(
      ["NODE", "GPU", "POD", "AGE", "VALUE", "WHY"],
      devices.map(({ node, index, pod = "-", ageMs, value, reason = "" }) => [
        node,
        `${index}`,
        pod,
        spanText(ageMs),
        shown(value),
        reason,
      ]),
    ),
    ...table(
      ["READ AT", "ENGINE", "POD", "AGE", "VALUE", "WHY"],
      engines.map(({ target, engine = "-", pod = "-", ageMs, value, reason = "" }) => [
        target,
        engine,
        pod,
        ageMs === undefined ? "-" : spanText(ageMs),
        shown(value),
        reason,
      ]),
    ),
  ];
}
