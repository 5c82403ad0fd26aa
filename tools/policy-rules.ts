/**
 * The rules among trigger keys in CEL: what `src/trigger/key-rules.ts` decides by code, over the
 * same tables and in the same words. The policy's tests hold both against each other.
 *
 * An expression reads `present` (the names of the keys that are there), `sound` (those of them whose
 * own rule is not broken), `text` (the text of those of `readNames` that keep their own rule, else
 * ""), and what follows from them, by the names of `resolved`. A text that comes from
 * the environment is not known: its key is present and sound, and its text is "".
 */
import { metricNames, metricOf } from "#metric/catalogue.ts";
import { engineFacts, engineNames, seriesKinds, seriesReducers } from "#metric/engines.ts";
import { idleKeys, scopedNames, scopeOf } from "#trigger/key-rules.ts";
import type { TriggerKeyName } from "#trigger/keys.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import {
  defaultMetric,
  endpointEngines,
  endpointNames,
  kindProblem,
  shorthandNames,
  shorthands,
} from "#trigger/resolve.ts";
import { every, firstOf, list, literal, map, not, re2, says, some } from "./cel.ts";

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
] as const satisfies readonly TriggerKeyName[];
type ReadName = (typeof readNames)[number];

/** Facts that the rules look up. */
export const ruleTables: Readonly<Record<string, string>> = {
  units: map(metricNames.map((name) => [name, literal(metricOf(name).unit)])),
  engineMetrics: list(metricNames.filter((name) => metricOf(name).source === "engine")),
  profiles: map(
    profileNames.map((name) => {
      const { metric, activationMetric = "", engine = "", engineMetric = "" } = profileOf(name);
      const facts = Object.entries({ metric, activationMetric, engine, engineMetric });
      return [name, map(facts.map(([key, value]) => [key, literal(value)]))];
    }),
  ),
  frontEnds: list(engineNames.filter((name) => engineFacts(name).isFrontEnd)),
  kindProblems: map(
    [undefined, ...seriesKinds].flatMap((kind) =>
      [undefined, ...seriesReducers].flatMap((reduce) => {
        const problem = kindProblem(kind, reduce);
        return problem === undefined
          ? []
          : [[`${kind ?? ""} ${reduce ?? ""}`, literal(problem)] as const];
      }),
    ),
  ),
};

const has = (name: TriggerKeyName) => `${literal(name)} in present`;
const isSound = (name: TriggerKeyName) => `${literal(name)} in sound`;
const hasAny = (names: readonly TriggerKeyName[]) => some(...names.map(has));
const text = (name: ReadName) => `text.${name}`;
const isRead = (name: ReadName) => `${text(name)} != ""`;
/** Whether nothing about it has to be guessed. */
const isKnown = (name: ReadName) => some(not(has(name)), isRead(name));

const ofProfile = (field: "metric" | "activationMetric" | "engine" | "engineMetric") =>
  `(text.profile in variables.profiles ? variables.profiles[text.profile].${field} : "")`;
/** Nothing is known here of what a custom profile says. */
const profileIsKnown = some(not(has("profile")), "text.profile in variables.profiles");

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
        every(isSound("engineMetric"), `${text("activationMetricType")} != "engine_metric"`),
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

const pairs = <Name>(names: readonly Name[]) =>
  names.flatMap((one, at) => names.slice(at + 1).map((other) => [one, other] as const));

function shorthandRules(): readonly KeyRule[] {
  const both = pairs(shorthandNames).map(([one, other]) => ({
    when: every(has(one), has(other)),
    says: literal(`${one}: must not be given beside ${other}`),
  }));
  const means = shorthandNames.flatMap((name) => {
    const alone = shorthandNames.filter((other) => other !== name).map((other) => not(has(other)));
    const metric = shorthands[name];
    const differs = `double(${text(name)}) != double(text.targetValue)`;
    return [
      {
        when: every(
          has(name),
          ...alone,
          isRead("metricType"),
          `text.metricType != ${literal(metric)}`,
        ),
        says: says`${literal(`${name}: means metricType ${metric}, got metricType `)}${"text.metricType"}`,
      },
      {
        when: every(isRead(name), ...alone, isRead("targetValue"), differs),
        says: says`${literal(`${name}: means targetValue `)}${text(name)}, got targetValue ${"text.targetValue"}`,
      },
    ];
  });
  return [...both, ...means];
}

function targetRules(): readonly KeyRule[] {
  const without = every(
    not(hasAny(["targetValue", ...shorthandNames])),
    profileIsKnown,
    isKnown("metricType"),
    some(isRead("metricType"), not(isSound("engineMetric")), isKnown("activationMetricType")),
  );
  const unit = "variables.units[metric]";
  const profileMetric = "variables.profiles[text.profile].metric";
  return [
    {
      when: every(without, not(has("profile")), `${unit} != "%"`),
      says: says`targetValue: must be given for ${"metric"}, whose unit is ${unit}: 80 is for percentages`,
    },
    {
      when: every(without, has("profile"), `${unit} != variables.units[${profileMetric}]`),
      says: says`targetValue: must be given where metricType ${"metric"} (${unit}) replaces ${profileMetric} (${`variables.units[${profileMetric}]`}) of profile ${"text.profile"}`,
    },
  ];
}

function endpointRules(): readonly KeyRule[] {
  const others = endpointNames.slice(1).map((name, at) => ({
    when: every(has(name), hasAny(endpointNames.slice(0, at + 1))),
    says: says`${literal(`${name}: must not be given beside `)}${"endpoint"}`,
  }));
  const engines = endpointNames.flatMap((name) => {
    const engine = endpointEngines[name];
    if (engine === undefined) return [];
    return {
      when: every(
        `endpoint == ${literal(name)}`,
        isRead("engine"),
        `text.engine != ${literal(engine)}`,
      ),
      says: says`${literal(`${name}: means engine ${engine}, got engine `)}${"text.engine"}`,
    };
  });
  // Backslashes and parts of dots mean something to a URL parser, and are left to it.
  const hasPath = endpointNames.map((name) =>
    every(
      `endpoint == ${literal(name)}`,
      `${text(name)}.matches(${literal(String.raw`^[a-zA-Z]+://[^/?\\]+/[^.%\\?][^.%\\?]*([?]|$)`)})`,
    ),
  );
  return [
    ...others,
    ...engines,
    {
      when: every(has("enginePort"), `endpoint != ""`),
      says: says`enginePort: must not be given beside ${"endpoint"}, whose URL names the port`,
    },
    {
      when: every(has("enginePath"), some(...hasPath)),
      says: says`enginePath: must not be given beside ${"endpoint"}, whose URL has a path`,
    },
  ];
}

function seriesRules(): readonly KeyRule[] {
  const kind = `text.engineMetricKind + " " + text.engineReduce`;
  const instead = ["metricType", ...shorthandNames] as const;
  const idle = (["engineMetricKind", "engineReduce"] as const).map((name) => ({
    when: every(has(name), "!seriesIsNamed"),
    says: literal(`${name}: only has a meaning beside engineMetric`),
  }));
  return [
    ...idle,
    {
      when: every(
        isKnown("engineMetricKind"),
        isKnown("engineReduce"),
        `${kind} in variables.kindProblems`,
      ),
      says: `variables.kindProblems[${kind}]`,
    },
    {
      when: every("seriesIsRead", "!seriesIsNamed"),
      says: literal("engineMetric: must be given where engine_metric is asked for"),
    },
    {
      when: every(
        "seriesIsRead",
        "seriesIsNamed",
        not(hasAny(["engine", ...endpointNames])),
        `${ofProfile("engine")} == ""`,
      ),
      says: literal(
        "engineMetric: must be given with engine or endpoint, which tell whose page it is on",
      ),
    },
    {
      when: every("!seriesIsRead", isSound("engineMetric"), hasAny(instead)),
      says: says`engineMetric: means metricType engine_metric, got ${firstOf(
        instead.map((name) => [has(name), says`${literal(`${name} `)}${text(name)}`]),
        `""`,
      )}`,
    },
  ];
}

function locationRules(): readonly KeyRule[] {
  const elsewhere = every(
    "readsEngine",
    "engine in variables.frontEnds",
    not(hasAny([...endpointNames, "podSelector"])),
  );
  const own = `[metric, activationMetric].filter(name, name in variables.engineMetrics && name != "engine_metric")`;
  return [
    {
      when: every(elsewhere, `engine != "prometheus"`),
      says: says`endpoint: must be given for engine ${"engine"}, which is not in the workload's pods; or podSelector, for its own pods`,
    },
    {
      when: every(elsewhere, `engine == "prometheus"`, not(has("enginePort"))),
      says: literal(
        "endpoint: must be given for engine prometheus, or enginePort for pages of the pods",
      ),
    },
    {
      when: every("readsEngine", `engine == "prometheus"`, `size(${own}) > 0`),
      says: says`engineMetric: must be given for engine prometheus, which does not tell ${`${own}[0]`}`,
    },
    ...engineNames.flatMap((name) => sharedPageRule(name)),
  ];
}

function sharedPageRule(engine: (typeof engineNames)[number]): readonly KeyRule[] {
  const { sharedBy } = engineFacts(engine);
  if (sharedBy.length === 0) return [];
  const chosen = sharedBy.map((label) => {
    const pattern = re2(new RegExp(String.raw`(^|,)\s*${label}\s*=\s*["\x60]`)) ?? "";
    return `text.engineLabels.matches(${literal(pattern)})`;
  });
  const open = sharedBy.map((label, at) => `${chosen[at]} ? "" : ${literal(label)}`);
  const labels = `[${open.join(", ")}].filter(label, label != "")`;
  const example = sharedBy.map((label) => `${label}="…"`).join(",");
  return [
    {
      when: every(
        "readsEngine",
        `engine == ${literal(engine)}`,
        isKnown("engineLabels"),
        not(every(...chosen)),
      ),
      says: says`engineLabels: must choose ${`${labels}.join(" and ")`} for engine ${"engine"}, which serves many workloads; write ${literal(example)}`,
    },
  ];
}

function idleRules(): readonly KeyRule[] {
  return idleKeys.map((name) => ({
    when: every("!readsEngine", has(name)),
    says: says`${literal(`${name}: only has a meaning for a metric of an engine, got `)}${"metric"}`,
  }));
}

function scopeRules(): readonly KeyRule[] {
  const inScope = scopedNames.map((name) => ({
    when: every(has(name), isRead("scope"), `text.scope != ${literal(scopeOf[name])}`),
    says: says`${literal(`${name}: only has a meaning in scope ${scopeOf[name]}, got scope `)}${"text.scope"}`,
  }));
  const implied = pairs(scopedNames).flatMap(([first, other]) => {
    if (scopeOf[first] === scopeOf[other]) return [];
    return {
      when: every(not(has("scope")), has(first), has(other)),
      says: literal(`${other}: must not be given beside ${first}, which means scope node`),
    };
  });
  return [...inScope, ...implied];
}

const only = (condition: string, rules: readonly KeyRule[]): readonly KeyRule[] =>
  rules.map((rule) => ({ ...rule, when: every(condition, rule.when) }));

/** Each of them, in the parser's order. */
export const keyRules: readonly KeyRule[] = [
  ...shorthandRules(),
  ...targetRules(),
  ...endpointRules(),
  ...only("metricsAreKnown", [
    ...seriesRules(),
    ...only(isKnown("engine"), locationRules()),
    ...idleRules(),
  ]),
  ...scopeRules(),
];
