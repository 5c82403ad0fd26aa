/**
 * What the rules among trigger keys read, in CEL.
 *
 * An expression reads `present` (the names of the keys that are there), `sound` (those of them whose
 * own rule is not broken), `text` (the text of those of `readNames` that keep their own rule, else
 * ""), and what follows from them, by the names of `resolved`. A text that comes from the
 * environment is not known: its key is present and sound, and its text is "".
 */
import { metricNames, metricOf } from "#metric/catalogue.ts";
import {
  engineFacts,
  engineNames,
  type NamedSeries,
  seriesKinds,
  seriesReducers,
  seriesText,
} from "#metric/engines.ts";
import type { TriggerKeyName } from "#trigger/keys.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import {
  defaultMetric,
  endpointEngines,
  endpointNames,
  kindProblem,
  seriesReduce,
  shorthandNames,
  shorthands,
} from "#trigger/resolve.ts";
import { every, firstOf, list, literal, map, not, some } from "./cel.ts";

/** Keys of which the rules read the text. */
export const readNames = [
  "profile",
  "metricType",
  "activationMetricType",
  "targetValue",
  ...shorthandNames,
  "scope",
  "engine",
  ...endpointNames,
  "engineMetric",
  "engineMetricKind",
  "engineReduce",
  "engineLabels",
  "engineScheme",
] as const satisfies readonly TriggerKeyName[];
type ReadName = (typeof readNames)[number];

/** Stands for the ratio in the problems of `ratioProblems`. */
export const anyRatio = { metric: "NUMERATOR", denominator: "DENOMINATOR" } as const;

function kindTable(series: NamedSeries | undefined): string {
  const problems = [undefined, ...seriesKinds].flatMap((kind) =>
    [undefined, "count" as const, ...seriesReducers].flatMap((reduce) => {
      const problem = kindProblem(
        series,
        kind,
        seriesReduce(reduce === undefined ? {} : { engineReduce: reduce }),
      );
      return problem === undefined
        ? []
        : [[`${kind ?? ""} ${reduce ?? ""}`, literal(problem)] as const];
    }),
  );
  return map(problems);
}

/** Facts that the rules look up. */
export const ruleTables: Readonly<Record<string, string>> = {
  units: map(metricNames.map((name) => [name, literal(metricOf(name).unit)])),
  engineMetrics: list(metricNames.filter((name) => metricOf(name).source === "engine")),
  profiles: map(
    profileNames.map((name) => {
      const { metric, activationMetric = "", engine = "", engineMetric } = profileOf(name);
      const series = engineMetric === undefined ? "" : seriesText(engineMetric);
      const facts = Object.entries({ metric, activationMetric, engine, engineMetric: series });
      return [name, map(facts.map(([key, value]) => [key, literal(value)]))];
    }),
  ),
  frontEnds: list(engineNames.filter((name) => engineFacts(name).isFrontEnd)),
  kindProblems: kindTable(undefined),
  ratioProblems: kindTable(anyRatio),
};

export const has = (name: TriggerKeyName) => `${literal(name)} in present`;
export const isSound = (name: TriggerKeyName) => `${literal(name)} in sound`;
export const hasAny = (names: readonly TriggerKeyName[]) => some(...names.map(has));
export const text = (name: ReadName) => `text.${name}`;
export const isRead = (name: ReadName) => `${text(name)} != ""`;
/** Whether nothing about it has to be guessed. */
export const isKnown = (name: ReadName) => some(not(has(name)), isRead(name));

export const ofProfile = (field: "metric" | "activationMetric" | "engine" | "engineMetric") =>
  `(text.profile in variables.profiles ? variables.profiles[text.profile].${field} : "")`;
/** Nothing is known here of what a custom profile says. */
export const profileIsKnown = some(not(has("profile")), "text.profile in variables.profiles");

/** Keys that name what is read as `engine_metric`. */
export const seriesNamers = ["engineMetric", "engineJsonPath"] as const;

/** What the rules read beside the texts; each may read those before it. */
export const resolved = {
  endpoint: firstOf(
    endpointNames.map((name) => [has(name), literal(name)]),
    `""`,
  ),
  metric: firstOf(
    [
      [isRead("metricType"), text("metricType")],
      ...shorthandNames.map((name) => [isSound(name), literal(shorthands[name])] as const),
      [
        every(
          some(...seriesNamers.map(isSound)),
          `${text("activationMetricType")} != "engine_metric"`,
        ),
        `"engine_metric"`,
      ],
      [`${ofProfile("metric")} != ""`, ofProfile("metric")],
    ],
    literal(defaultMetric),
  ),
  activationMetric: firstOf(
    [
      [isRead("activationMetricType"), text("activationMetricType")],
      [`${ofProfile("activationMetric")} != ""`, ofProfile("activationMetric")],
    ],
    "metric",
  ),
  engine: firstOf(
    [
      [isRead("engine"), text("engine")],
      ...endpointNames.flatMap((name) => {
        const engine = endpointEngines[name];
        return engine === undefined ? [] : [[isSound(name), literal(engine)] as const];
      }),
      [isSound("engineJsonPath"), `"json"`],
      [`${ofProfile("engine")} != ""`, ofProfile("engine")],
      [
        every(
          some(...endpointNames.map(isSound)),
          `[metric, activationMetric].exists(name, name in variables.engineMetrics)`,
          `[metric, activationMetric].all(name, name == "engine_metric" || !(name in variables.engineMetrics))`,
        ),
        `"prometheus"`,
      ],
    ],
    `""`,
  ),
  readsEngine: "[metric, activationMetric].exists(name, name in variables.engineMetrics)",
  // A metric that is not known needs nothing.
  metricsAreKnown: every(
    profileIsKnown,
    ...(["profile", "metricType", "activationMetricType"] as const).map(isKnown),
  ),
  seriesIsNamed: some(has("engineMetric"), `${ofProfile("engineMetric")} != ""`),
  seriesIsRead: `"engine_metric" in [metric, activationMetric]`,
} as const;

export interface KeyRule {
  readonly when: string;
  /** The problem, in the words of the parser. */
  readonly says: string;
}

export const only = (condition: string, rules: readonly KeyRule[]): readonly KeyRule[] =>
  rules.map((rule) => ({ ...rule, when: every(condition, rule.when) }));
