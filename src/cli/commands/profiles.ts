/**
 * `profiles`: what each scales on, when to use it and when not, from the tables that triggers use.
 *
 * @module
 */
import { command, exitCodes } from "#cli/command.ts";
import { choice, flag } from "#cli/flags.ts";
import { profileNamed, profilesFlag, profileTable } from "#cli/profiles-flag.ts";
import { terminalColumns } from "#core/limits.ts";
import { columnLines, headedLines } from "#core/text-lines.ts";
import { metricOf } from "#metric/catalogue.ts";
import { seriesText } from "#metric/engines.ts";
import { adviceOf, type ProfileAdvice, scalingRulesText } from "#trigger/advice.ts";
import { type ProfileUse, profileUses } from "#trigger/profile-uses.ts";
import { type Profile, profileNames } from "#trigger/profiles.ts";

/** One profile as `--output json` has it. */
interface DescribedProfile extends Profile, Partial<ProfileUse> {
  readonly name: string;
  /** Of the target. */
  readonly unit: string;
  readonly isBuiltIn: boolean;
  readonly advice: ProfileAdvice;
}

function described(name: string, profile: Profile): DescribedProfile {
  const builtIn = profileNames.find((known) => known === name);
  return {
    name,
    ...profile,
    unit: metricOf(profile.metric).unit,
    isBuiltIn: builtIn !== undefined,
    advice: adviceOf(name),
    ...(builtIn === undefined ? undefined : profileUses[builtIn]),
  };
}

function tableText(profiles: readonly DescribedProfile[]): string {
  const rows = profiles.map((profile) => [
    profile.name,
    profile.metric,
    `${profile.target} ${profile.unit}`,
    profile.metricType,
    engineText(profile) ?? "-",
    profile.scalesToZero ? "yes" : "never",
  ]);
  const headings = ["PROFILE", "METRIC", "TARGET", "METRICTYPE", "ENGINE", "TO ZERO"];
  const lines = columnLines([headings, ...rows]);
  return `${lines.join("\n")}\n\nkeda-gpu-scaler profiles NAME says when to use one, and when not.\n`;
}

/** A metric of devices asks no engine. */
function engineText({ engine, metric }: Profile): string | undefined {
  return engine ?? (metricOf(metric).source === "engine" ? "any" : undefined);
}

function detailText(profile: DescribedProfile): string {
  const { name, advice, metric, target, unit, when, whenNot } = profile;
  const { activationMetric = metric, activationThreshold, scalesToZero } = profile;
  const { help, kind, source } = metricOf(metric);
  const activeAbove = `${activationMetric} above ${activationThreshold} ${metricOf(activationMetric).unit}`;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["metric", `${metric}: ${help}; ${kind}, of the ${source}`],
    ["series", profile.engineMetric && seriesText(profile.engineMetric)],
    ["target", `${target} ${unit} in each replica`],
    ["metricType", `${profile.metricType}, beside the trigger's metadata`],
    [
      "aggregation",
      source === "device" ? `${profile.aggregation ?? "max"} of a replica's devices` : undefined,
    ],
    ["window", profile.windowSeconds === undefined ? "newest value" : `${profile.windowSeconds} s`],
    ["engine", engineText(profile)],
    ["active", scalesToZero ? activeAbove : "always: its workload never goes to zero"],
    ["scale up", scalingRulesText(advice.scaleUp)],
    ["scale down", scalingRulesText(advice.scaleDown)],
    ["cooldown", `${advice.cooldownSeconds} s`],
    ["from zero", advice.wake],
    ["when", when],
    ["when not", whenNot],
  ];
  const lines = facts.flatMap(([title, text]) =>
    text === undefined ? [] : headedLines(`  ${title.padEnd(13)}`, text, terminalColumns),
  );
  return `${[name, ...lines].join("\n")}\n`;
}

export const profilesCommand = command("profiles", {
  summary: "Say what each profile scales on, when to use it and when not",
  flags: {
    ...profilesFlag,
    output: flag(choice(["text", "json"]), { fallback: "text", help: "json has every field" }),
  },
  operands: {
    value: "NAME",
    rule: "must be a profile",
    help: "One profile, in detail",
    least: 0,
    most: 1,
    parse: (text) => text,
    completion: profileNames,
  },
  examples: ["keda-gpu-scaler profiles", "keda-gpu-scaler profiles vllm-queue-depth"],
  run: async ({ flags: { profiles, output }, operands: [name] }, { stdout }) => {
    const table = await profileTable(profiles);
    const chosen =
      name === undefined ? undefined : described(name, profileNamed("profiles", name, table));
    const all = [...table].map(([known, profile]) => described(known, profile));
    if (output === "json") stdout(`${JSON.stringify(chosen ?? all, null, 2)}\n`);
    else stdout(chosen === undefined ? tableText(all) : detailText(chosen));
    return exitCodes.done;
  },
});
