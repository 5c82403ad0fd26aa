/**
 * Writes `docs/reference.md` from the tables of the code. With `--check` it changes nothing and
 * fails when the document is not what the tables give.
 */
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import type { Command } from "#cli/command.ts";
import { commandNames, commands } from "#cli/commands/all.ts";
import { operandText } from "#cli/help.ts";
import { decidedTriggersMax } from "#core/limits.ts";
import { amdgpuReadings } from "#device/amdgpu/readings.ts";
import { builtInTable, exporterNames } from "#device/exporter/tables.ts";
import { nvmlReadings } from "#device/nvml/reading-names.ts";
import { adapterOf } from "#engine/adapters/all.ts";
import { type DeviceMetric, type InstanceRule, metricNames, metricOf } from "#metric/catalogue.ts";
import { type EngineName, engineFacts, engineNames } from "#metric/engines.ts";
import { type ReadingName, readingNames } from "#metric/reading.ts";
import { reducerNames } from "#metric/reduce.ts";
import { deviceGauges } from "#observe/node-metrics.ts";
import { triggerGauges } from "#observe/trigger-metrics.ts";
import { grpcCodes } from "#rpc/codes.ts";
import { presetNames, replicaPresets } from "#simulate/input/presets.ts";
import { replicaKeys } from "#simulate/input/replica-file.ts";
import { profileAdvice, scalingRulesText } from "#trigger/advice.ts";
import { profileFields } from "#trigger/custom-profiles.ts";
import { type TriggerKeyName, triggerKeyNames, triggerKeys } from "#trigger/keys.ts";
import { profileUses } from "#trigger/profile-uses.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import { code, table, written } from "./markdown.ts";

const path = join(import.meta.dir, "..", "docs", "reference.md");

function flagTables(): string {
  return commandNames
    .map((name) => {
      const { summary, flags, operands, examples }: Command = commands[name];
      const rows = [
        ...(operands === undefined
          ? []
          : [[code(operandText(operands)), "none", operands.help, operands.rule]]),
        ...Object.entries(flags).map(([flag, { value, fallback, help, rule }]) => [
          code(`--${flag} ${value}`.trimEnd()),
          fallback === undefined ? "none" : code(fallback),
          help,
          rule,
        ]),
      ];
      const shown = `\`\`\`sh\n${examples.join("\n")}\n\`\`\``;
      const intro = `### ${code(`keda-gpu-scaler ${name}`)}\n\n${summary}.\n\n${shown}`;
      return rows.length === 0
        ? intro
        : `${intro}\n\n${table(["argument", "default", "what", "rule"], rows)}`;
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
    const isOfDevice = metric.source === "device";
    const instead = isOfDevice ? metric.instead.map(code).join(", ") : "";
    const onMig = isOfDevice ? instanceTexts[metric.instance] : "";
    return [code(name), metric.unit, metric.kind, metric.source, metric.help, instead, onMig];
  });
  const columns = ["metric", "unit", "kind", "source", "what", "where a device lacks it"];
  return table([...columns, "what a MIG instance has"], rows);
}

/** Which metrics of a device each collector has, where hardware and driver or exporter give them. */
function vendorTable(): string {
  const vendors: readonly (readonly [string, ReadonlySet<ReadingName>])[] = [
    ["NVIDIA, `nvml`", nvmlReadings],
    ["AMD, `amdgpu`", amdgpuReadings],
    ...exporterNames.map((name) => [code(name), tableReadings(name)] as const),
  ];
  const rows = metricNames.flatMap((name) => {
    const metric = metricOf(name);
    if (metric.source !== "device") return [];
    return [[code(name), ...vendors.map(([, has]) => (isGivenBy(metric, has) ? "yes" : ""))]];
  });
  return table(["metric", ...vendors.map(([vendor]) => vendor)], rows);
}

function tableReadings(name: (typeof exporterNames)[number]): ReadonlySet<ReadingName> {
  const { readings } = builtInTable(name);
  return new Set(readingNames.filter((reading) => readings[reading] !== undefined));
}

function isGivenBy({ needs, fallbacks = {} }: DeviceMetric, has: ReadonlySet<ReadingName>) {
  // Every collector's power comes from its energy counter too.
  const isThere = (name: ReadingName) =>
    has.has(name === "powerFromEnergyMilliwatts" ? "energyMillijoules" : name);
  return needs.every((name) => isThere(name) || (fallbacks[name] ?? []).some(isThere));
}

function exporterList(): string {
  const rows = exporterNames.map((key) => {
    const { name, version, date, port, path, collectionSeconds, plugin, source } =
      builtInTable(key);
    const sources = source.map((url, position) => `[${position + 1}](${url})`).join(" ");
    return [
      code(key),
      name,
      `${port}${path}`,
      collectionSeconds === 0 ? "" : `${collectionSeconds} s`,
      plugin === undefined
        ? "the page's labels"
        : plugin.map((one) => code(one.resource)).join(", "),
      `${version}, ${date}`,
      sources,
    ];
  });
  const columns = ["exporter", "what", "port and path", "collects every", "who holds a device, by"];
  return table([...columns, "as of", "sources"], rows);
}

const instanceTexts: Readonly<Record<InstanceRule, string>> = {
  own: "its own",
  gpm: "its own, on Hopper and newer",
  share: "its part of the GPU's, by memory",
  none: "no: the chip's",
};

function scalingTable(): string {
  const names = new RegExp(`\\b(${metricNames.join("|")})\\b`, "g");
  const rows = metricNames.flatMap((name) => {
    const metric = metricOf(name);
    if (metric.source !== "engine" || metric.advice === undefined) return [];
    return [[code(name), metric.advice.replace(names, (other) => code(other))]];
  });
  return table(["metric", "when to scale on it, and when not"], rows);
}

function profileTable(): string {
  const rows = profileNames.map((name) => {
    const profile = profileOf(name);
    const { engine, windowSeconds } = profile;
    return [
      code(name),
      code(profile.metric) + (windowSeconds === undefined ? "" : ` over ${windowSeconds} s`),
      `${profile.target} ${metricOf(profile.metric).unit}`,
      profile.activationThreshold,
      profile.metricType,
      engine === undefined ? "" : code(engine),
      profile.scalesToZero ? "yes" : "never: always active",
    ];
  });
  return table(
    ["profile", "metric", "target", "activation", "metricType", "engine", "may go to zero"],
    rows,
  );
}

function adviceTable(): string {
  const rows = profileNames.map((name) => {
    const { scaleUp, scaleDown, cooldownSeconds, wake } = profileAdvice[name];
    return [
      code(name),
      scalingRulesText(scaleUp),
      scalingRulesText(scaleDown),
      `${cooldownSeconds} s`,
      wake,
    ];
  });
  return table(["profile", "up", "down", "cooldown", "what wakes it"], rows);
}

function useTable(): string {
  const rows = profileNames.map((name) => {
    const { when, whenNot } = profileUses[name];
    return [code(name), when, whenNot];
  });
  return table(["profile", "when to use it", "when not"], rows);
}

function engineTable(): string {
  const rows = engineNames.map((name) => {
    const { isFrontEnd, sharedBy } = engineFacts(name);
    const labels = sharedBy.map(code).join(", ");
    const { title, port, path } = adapterNamed(name);
    return [code(name), title, `${port}${path}`, isFrontEnd ? "yes" : "", labels];
  });
  return table(
    ["engine", "what", "default port and path", "in front of engines", "labels to choose"],
    rows,
  );
}

function replicaKeyTable(): string {
  const rows = Object.entries(replicaKeys).map(([name, what]) => [code(name), what]);
  return table(["key", "what"], rows);
}

function presetTable(): string {
  const rows = presetNames.map((name) => {
    const { title, source, replica } = replicaPresets[name];
    const { batchSlots, prefillTokensPerSecond, decodeTokensPerSecond, loadSeconds } = replica;
    const numbers = [batchSlots, prefillTokensPerSecond, decodeTokensPerSecond, loadSeconds];
    return [code(name), title, ...numbers, source];
  });
  return table(
    ["preset", "what", "slots", "tokens in, 1/s", "tokens out, 1/s", "load, s", "source"],
    rows,
  );
}

function adapterNamed(name: EngineName) {
  const adapter = adapterOf(name);
  if (adapter === undefined) throw new Error(`Cannot describe engine ${name}: it has no adapter`);
  return adapter;
}

const text = `# Reference

Generated from the code's own tables by \`bun run gen\`; do not edit.

## Command line

${flagTables()}

Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage.

## Trigger metadata

All values are text. A key that ends in \`FromEnv\` (\`targetValueFromEnv\`) takes its value from the environment of the scaled container, as KEDA does for
every trigger. Such a value comes with the call and cannot be compared with the object: what follows from it is no more than a trigger of the object's
namespace may ask for in any case, which is its own pods and Services, hosts of \`--allow-endpoint\`, and scopes of \`--allow-scope\`. Two triggers that
differ only in such keys need one metricType. All problems are reported at once.

${keyTable()}

Aggregations: ${reducerNames.map(code).join(", ")}; percentiles are nearest-rank, so each is a value that was measured.

## Metrics a trigger can ask for

A quantity adds up over replicas, an intensity does not.

${metricTable()}

${scalingTable()}

### Which vendor has which metric

Where the hardware, and the driver or exporter of it, give what the metric is made of. \`--exporter\` chooses the table of an exporter: [accelerators](accelerators.md).

${vendorTable()}

${exporterList()}

## Profiles

Every field can be overridden by its own key. \`metricType\` is the one that the target is meant for; a ScaledObject's trigger says it beside its \`metadata\`.

${profileTable()}

What a ScaledObject should say beside its trigger; \`deploy/examples/profiles\` has complete ones.

${adviceTable()}

\`keda-gpu-scaler profiles NAME\` says the same of one.

${useTable()}

### Custom profiles

\`--profiles FILE\` adds profiles from a YAML file, which is read again when it changes; the chart's value \`profiles\` writes one. A changed file with a mistake is logged and not used; at the start it is an error. Fields: ${profileFields.map(code).join(", ")}. \`metric\` and \`target\` are required; the others default as the trigger keys of their names do, and \`scalesToZero\` to true.

\`\`\`yaml
profiles:
  chat:
    metric: queue_depth
    target: 4
    engine: vllm
    activationThreshold: 0
\`\`\`

## Engines

${engineTable()}

\`engineTokenFile\`, \`engineBasicAuthFile\` and \`engineCaFile\` are file names and never paths: whoever runs the scaler mounts each namespace's files in a folder of that namespace's name below \`--engine-token-dir\` and \`--engine-ca-dir\`, and a ScaledObject can use those of its own namespace only. They are read again at each scrape.

An \`https\` URL and \`engineScheme: https\` are TLS 1.2 or newer, and the certificate is always verified: by the authorities of \`engineCaFile\`, or the system's; for the name that \`engineServerName\` gives, or the URL's host, of pods their address.

\`engineJsonPath\` reads a page in JSON: \`$.queue\` is a number, \`$.models[*].size_vram\` several, which \`engineReduce\` makes one, and with \`engineReduce: count\` the values that it leads to are counted, as in \`$[?@.is_processing==true]\`. A sum or count is 0 where the array or object that a part in brackets goes through is there and nothing in it fits; what is not there, and what is no number from 0, is unknown and never 0. An element that lacks a name is left out where another has it.

## Simulation

\`simulate\` plays the triggers, behaviour, cooldown, limits and fallback of one ScaledObject a file. Its triggers must be this scaler's own. It begins with \`minReplicaCount\` replicas, at least one, all ready. A request that has no first token at the end counts with the time it has waited by then.

A trigger's \`profile\` may be one of a file of \`--profiles\`, in the form that \`serve\` takes.

A load is segments with commas between, each \`RATE rps for DURATION\` or \`ramp RATE..RATE rps over DURATION\`. A trace is CSV with the columns \`TIMESTAMP\` (a date or seconds), \`ContextTokens\` and \`GeneratedTokens\`, a request a line.

A file of \`--replica-model\` names a preset, or says \`loadSeconds\`, \`batchSlots\`, \`prefillTokensPerSecond\`, \`decodeTokensPerSecond\` and \`kvBlocks\` itself. Names end in their unit.

${replicaKeyTable()}

${presetTable()}

The code of the presets says how an estimate is computed, and what bounds it.

## gRPC codes

KEDA treats every error alike: it holds the replicas, or uses the ScaledObject's \`fallback\`. The codes are for people and alerts.

${table(
  ["fault", "code"],
  Object.entries(grpcCodes).map(([fault, status]) => [code(fault), Code[status]]),
)}

Besides ExternalScaler the port serves \`grpc.health.v1.Health\` and server reflection (v1 and v1alpha).

## Prometheus metrics of a device

Labels: \`gpu_index\`, \`gpu_uuid\`, \`gpu_name\`. A reading that is absent has no series. Beside them, counted by the
agent since it started: \`keda_gpu_scaler_gpu_energy_joules_total\`.

${table(
  ["metric", "what"],
  deviceGauges.map(({ name, help }) => [code(name), help]),
)}

## Prometheus metrics of a trigger

A scaler shows them of every trigger that names it, whichever replica of the scaler KEDA asks: ask for the maximum over
instances. Labels: \`namespace\`, \`name\`, \`metric\` (the name that KEDA registers). There are at most ${decidedTriggersMax} triggers.

${table(
  ["metric", "what"],
  triggerGauges.map(({ name, help }) => [code(name), help]),
)}

With a label \`code\` more: \`keda_gpu_scaler_trigger_refused\` is 1 while there is no answer, and
\`keda_gpu_scaler_trigger_refusals_total\` counts the calls of KEDA that were refused. \`keda_gpu_scaler_trigger_warnings\`
has \`namespace\`, \`name\` and \`code\`.

With \`namespace\` and \`name\` alone, and counted since the scaler started: \`keda_gpu_scaler_workload_energy_joules_total\` and
\`keda_gpu_scaler_workload_device_seconds_total\`, of the devices that the object's pods hold. A node's newest sample has
the age \`keda_gpu_scaler_node_sample_age_seconds\`, with the label \`node\`. [operating.md](operating.md#how-energy-is-counted)
says how energy is counted.
`;
await written(path, text);
