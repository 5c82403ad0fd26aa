/**
 * From the text of a profiles file to the profiles there are, or every problem at once.
 *
 * @module
 */
import * as v from "valibot";
import { between, choice, exact, isMapping, say, whole } from "#core/file-schema.ts";
import { profilesMax, targetLeast, triggerNumberMax, windowSecondsMax } from "#core/limits.ts";
import { parseYaml, pathText } from "#core/yaml-text.ts";
import { metricTypes } from "#kubernetes/hpa.ts";
import { engineAliases, metricAliases, reducerAliases } from "#metric/aliases.ts";
import { isLatency, metricNames } from "#metric/catalogue.ts";
import { engineNames, seriesKinds, seriesReducers } from "#metric/engines.ts";
import { reducerNames } from "#metric/reduce.ts";
import { builtInProfiles, type Profile, type ProfileTable, replicaReducers } from "./profiles.ts";
import { kindProblem } from "./resolve.ts";
import { labelMatchers, labelName, namedSeries, type Rule, ruleProblem } from "./rules.ts";

/** Text under the rule that the trigger key of the same name has. */
function ruled<Value>(rule: Rule<Value>) {
  return v.pipe(
    v.string(say("must be text")),
    v.rawTransform<string, Value>(({ dataset, addIssue, NEVER }) => {
      const parsed = v.safeParse(rule.schema, dataset.value);
      if (parsed.success) return parsed.output;
      addIssue({ message: ruleProblem(rule, dataset.value) });
      return NEVER;
    }),
  );
}

/** A page in JSON is read by a path, which a trigger has and no profile. */
export const profileEngines = engineNames.filter((name) => name !== "json");

/** What a custom profile may say: a trigger's own keys, with numbers as numbers. */
const profileEntries = {
  metric: choice(metricNames, metricAliases),
  target: between(targetLeast, triggerNumberMax),
  activationMetric: v.optional(choice(metricNames, metricAliases)),
  activationThreshold: v.optional(between(0, triggerNumberMax), 0),
  scalesToZero: v.optional(v.boolean(say("must be true or false")), true),
  metricType: v.optional(choice(metricTypes)),
  windowSeconds: v.optional(whole(0, windowSecondsMax)),
  aggregation: v.optional(choice(reducerNames, reducerAliases)),
  replicaAggregation: v.optional(choice(replicaReducers, reducerAliases)),
  engine: v.optional(choice(profileEngines, engineAliases)),
  engineMetric: v.optional(ruled(namedSeries)),
  engineMetricKind: v.optional(choice(seriesKinds)),
  engineReduce: v.optional(choice(seriesReducers, reducerAliases)),
  engineLabels: v.optional(ruled(labelMatchers)),
};
const profileSchema = exact(profileEntries);
const fileSchema = exact({
  profiles: v.custom<Readonly<Record<string, unknown>>>(
    isMapping,
    say("must be a mapping of names to profiles"),
  ),
});
export const profileFields: readonly string[] = Object.keys(profileEntries);

export type ParsedProfiles =
  | { readonly table: ProfileTable; readonly problems?: never }
  | { readonly problems: readonly string[]; readonly table?: never };

/**
 * @param yamlText `profiles:`, and below it a mapping of names to profiles.
 * @returns Those of the file beside those built in; or what is wrong, each problem with its line.
 */
export function parseProfiles(yamlText: string): ParsedProfiles {
  const yaml = parseYaml(yamlText);
  if (yaml.problems !== undefined) return { problems: yaml.problems };
  const file = v.safeParse(fileSchema, yaml.value);
  if (!file.success) return { problems: yaml.problemsOf(file.issues) };
  const entries = Object.entries(file.output.profiles);
  if (entries.length > profilesMax) {
    const problem = `profiles: must be at most ${profilesMax}, got ${entries.length}`;
    return { problems: [yaml.located(["profiles"], problem)] };
  }

  const table = new Map(builtInProfiles);
  const problems: string[] = [];
  for (const [name, fields] of entries) {
    const path = ["profiles", name];
    problems.push(...nameProblems(name).map((problem) => yaml.located(path, problem, "key")));
    const parsed = v.safeParse(profileSchema, fields);
    if (!parsed.success) {
      problems.push(...yaml.problemsOf(parsed.issues, path));
      continue;
    }
    for (const { key, problem } of seriesProblems(parsed.output))
      problems.push(yaml.located([...path, key], `${pathText(path)}.${problem}`));
    table.set(name, profileFrom(parsed.output));
  }
  return problems.length === 0 ? { table } : { problems };
}

function nameProblems(name: string): readonly string[] {
  if (!v.safeParse(labelName.schema, name).success)
    return [`profiles.${JSON.stringify(name.slice(0, 80))}: must be named with ${labelName.rule}`];
  return builtInProfiles.has(name)
    ? [`profiles.${name}: is built in and cannot be redefined; choose another name`]
    : [];
}

type CustomProfile = v.InferOutput<typeof profileSchema>;

interface SeriesProblem {
  readonly key: keyof CustomProfile;
  /** With the key in front. */
  readonly problem: string;
}

/** What a trigger's author could not repair. */
function seriesProblems(profile: CustomProfile): readonly SeriesProblem[] {
  const { metric, activationMetric, engine, engineMetric, engineMetricKind, engineReduce } =
    profile;
  const readsSeries = metric === "engine_metric" || activationMetric === "engine_metric";
  const problems: SeriesProblem[] = [];
  const found = (key: SeriesProblem["key"], rule: string) =>
    problems.push({ key, problem: `${key}: ${rule}` });
  if (readsSeries && engineMetric === undefined)
    found("engineMetric", "must be given where engine_metric is asked for");
  if (!readsSeries && engineMetric !== undefined)
    found("engineMetric", `means metric engine_metric, got metric ${metric}`);
  if (engineReduce !== undefined && engineMetric === undefined)
    found("engineReduce", "only has a meaning beside engineMetric");
  if (engineMetricKind !== undefined && engineMetric === undefined)
    found("engineMetricKind", "only has a meaning beside engineMetric");
  const mismatch = kindProblem(engineMetric, engineMetricKind, engineReduce);
  if (mismatch !== undefined) problems.push({ key: "engineReduce", problem: mismatch });
  if (engine === "prometheus" && !readsSeries)
    found("engine", "prometheus tells nothing but an engineMetric");
  return problems;
}

function profileFrom(profile: CustomProfile): Profile {
  const advised = isLatency(profile.metric) ? "Value" : "AverageValue";
  return { ...profile, metricType: profile.metricType ?? advised };
}
