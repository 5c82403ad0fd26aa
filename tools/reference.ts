/**
 * Writes `docs/reference.md` from the tables of the code. With `--check` it changes nothing and
 * fails when the document is not what the tables give.
 */
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { commandNames, commands } from "#cli/commands.ts";
import type { Flags } from "#cli/flags.ts";
import { metricNames, metricOf } from "#metric/catalogue.ts";
import { reducerNames } from "#metric/reduce.ts";
import { deviceGauges } from "#observe/device-metrics.ts";
import { grpcCodes } from "#serve/codes.ts";
import { type TriggerKeyName, triggerKeyNames, triggerKeys } from "#trigger/keys.ts";
import { type Profile, profiles } from "#trigger/profiles.ts";

const path = join(import.meta.dir, "..", "docs", "reference.md");

type Cell = string | number;
const cell = (value: Cell) => String(value).replaceAll("|", "\\|");

function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(headings), `|${"---|".repeat(headings.length)}`, ...rows.map(line)].join("\n");
}

const code = (text: string) => `\`${text}\``;

function flagTables(): string {
  return commandNames
    .map((name) => {
      const { summary, flags }: { summary: string; flags: Flags } = commands[name];
      const rows = Object.entries(flags).map(([flag, { value, fallback, help, rule }]) => [
        code(`--${flag} ${value}`),
        fallback === undefined ? "none" : code(fallback),
        help,
        rule,
      ]);
      const intro = `### ${code(`keda-gpu-scaler ${name}`)}\n\n${summary}.`;
      return rows.length === 0
        ? intro
        : `${intro}\n\n${table(["flag", "default", "what", "rule"], rows)}`;
    })
    .join("\n\n");
}

function keyTable(): string {
  const rows = triggerKeyNames.map((name: TriggerKeyName) => {
    const { rule, default: normal, help } = triggerKeys[name];
    return [code(name), `must be ${rule}`, normal, help];
  });
  return table(["key", "rule", "default", "what"], rows);
}

function metricTable(): string {
  const rows = metricNames.map((name) => {
    const metric = metricOf(name);
    const instead = metric.source === "device" ? metric.instead.map(code).join(", ") : "";
    return [code(name), metric.unit, metric.kind, metric.source, metric.help, instead];
  });
  return table(["metric", "unit", "kind", "source", "what", "where a device lacks it"], rows);
}

function profileTable(): string {
  const rows = Object.entries<Profile>(profiles).map(([name, profile]) => [
    code(name),
    code(profile.metric),
    `${profile.target} ${metricOf(profile.metric).unit}`,
    profile.activationThreshold,
    profile.scalesToZero ? "yes" : "never: always active",
  ]);
  return table(["profile", "metric", "target", "activation", "may go to zero"], rows);
}

const reference = `# Reference

Generated from the code's own tables by \`bun run gen\`; do not edit.

## Command line

${flagTables()}

Exit codes: 0 stopped as asked, 1 failed, 2 asked for wrongly.

## Trigger metadata

All values are text. A key with \`FromEnv\` behind it (\`targetValueFromEnv\`) takes its value from the environment of the scaled container, as KEDA does for
every trigger. All problems are reported at once.

${keyTable()}

Aggregations: ${reducerNames.map(code).join(", ")}; percentiles are nearest-rank, so they are always a value that was measured.

## Metrics a trigger can ask for

A quantity adds up over replicas, an intensity does not.

${metricTable()}

## Profiles

Every field can be overridden by its own key.

${profileTable()}

## gRPC codes

KEDA treats every error alike: it holds the replicas, or uses the ScaledObject's \`fallback\`. The codes are for people and alerts.

${table(
  ["fault", "code"],
  Object.entries(grpcCodes).map(([fault, status]) => [code(fault), Code[status]]),
)}

Besides ExternalScaler the port serves \`grpc.health.v1.Health\` and server reflection (v1 and v1alpha).

## Prometheus metrics of a device

Labels: \`gpu_index\`, \`gpu_uuid\`, \`gpu_name\`. A reading that is absent has no series.

${table(
  ["metric", "what"],
  deviceGauges.map(({ name, help }) => [code(`keda_gpu_scaler_${name}`), help]),
)}
`;

if (Bun.argv.includes("--check")) {
  if ((await Bun.file(path).text()) !== reference)
    throw new Error("docs/reference.md is not current: run bun run gen");
} else {
  await Bun.write(path, reference);
}
