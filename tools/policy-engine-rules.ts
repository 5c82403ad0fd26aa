/** The rules of the keys about engines in CEL: see `policy-rules.ts`. */
import { engineFacts, engineNames, jsonReducers, seriesText } from "#metric/engines.ts";
import { tlsKeys } from "#trigger/access-rules.ts";
import { seriesKeyNames, seriesKeys } from "#trigger/json-rules.ts";
import { idleKeys, ofAnyPage } from "#trigger/key-rules.ts";
import { endpointEngines, endpointNames, shorthandNames } from "#trigger/resolve.ts";
import { every, firstOf, list, literal, not, re2, says } from "./cel.ts";
import {
  anyRatio,
  has,
  hasAny,
  isKnown,
  isRead,
  isSound,
  type KeyRule,
  ofProfile,
  only,
  text,
} from "./policy-terms.ts";

/** Rules of the keys that say what is read of an engine, and how. */
export const engineRules: readonly KeyRule[] = only("metricsAreKnown", [
  ...jsonRules(),
  ...only(every(not(has("engineJsonPath")), `engine != "json"`), seriesRules()),
  ...only(isKnown("engine"), locationRules()),
  ...only("readsEngine", accessRules()),
  ...only("!readsEngine", idleRules()),
]);

function jsonRules(): readonly KeyRule[] {
  const beside = seriesKeyNames.map((name) => ({
    when: every(has("engineJsonPath"), has(name)),
    says: literal(
      `${name}: must not be given beside engineJsonPath, because it ${seriesKeys[name]}`,
    ),
  }));
  const engines = endpointNames.filter((name) => endpointEngines[name] !== undefined);
  const other = `[metric, activationMetric].filter(name, name in variables.engineMetrics && name != "engine_metric")`;
  return [
    ...beside,
    {
      when: every(
        has("engineJsonPath"),
        isRead("engineReduce"),
        not(`text.engineReduce in ${list(jsonReducers)}`),
      ),
      says: says`engineReduce: must be one of ${literal(jsonReducers.join(", "))} beside engineJsonPath, got ${"text.engineReduce"}`,
    },
    ...only(isSound("engineJsonPath"), [
      {
        when: every(isRead("engine"), `text.engine != "json"`),
        says: says`engineJsonPath: means engine json, got engine ${"text.engine"}`,
      },
      ...engines.map((name, at) => ({
        when: every(has(name), ...engines.slice(0, at).map((before) => not(has(before)))),
        says: literal(
          `engineJsonPath: means engine json, and ${name} engine ${endpointEngines[name]}; write endpoint`,
        ),
      })),
      {
        when: "!seriesIsRead",
        says: says`engineJsonPath: means metricType engine_metric, got ${"metric"}`,
      },
      {
        when: every("seriesIsRead", `size(${other}) > 0`),
        says: says`engineJsonPath: tells engine_metric alone, and ${`${other}[0]`} needs another engine`,
      },
    ]),
    ...only(not(has("engineJsonPath")), [
      {
        when: `text.engineReduce == "count"`,
        says: literal("engineReduce: count only has a meaning beside engineJsonPath"),
      },
      {
        when: `engine == "json"`,
        says: literal("engineJsonPath: must be given for engine json, which tells nothing else"),
      },
    ]),
  ];
}

function accessRules(): readonly KeyRule[] {
  const isPlain = firstOf(
    endpointNames.map((name) => [
      `endpoint == ${literal(name)}`,
      every(isRead(name), not(`${text(name)}.matches("(?i)^https:")`)),
    ]),
    every(isKnown("engineScheme"), `text.engineScheme != "https"`),
  );
  const remedy = firstOf(
    [[`endpoint == ""`, `"write engineScheme https"`]],
    says`write an https URL as ${"endpoint"}`,
  );
  return [
    {
      when: every(has("engineTokenFile"), has("engineBasicAuthFile")),
      says: literal(
        "engineBasicAuthFile: must not be given beside engineTokenFile; an engine is shown one of them",
      ),
    },
    ...tlsKeys.map((name) => ({
      when: every(has(name), isPlain),
      says: says`${literal(`${name}: only has a meaning over TLS, and this is http; `)}${remedy}, or leave it out`,
    })),
  ];
}

function seriesRules(): readonly KeyRule[] {
  const kind = `text.engineMetricKind + " " + text.engineReduce`;
  const instead = ["metricType", ...shorthandNames] as const;
  const idle = (["engineMetricKind", "engineReduce"] as const).map((name) => ({
    when: every(has(name), "!seriesIsNamed", `${text(name)} != "count"`),
    says: literal(`${name}: only has a meaning beside engineMetric`),
  }));
  const kindsAreKnown = every(isKnown("engineMetricKind"), isKnown("engineReduce"));
  const isRatio = `text.engineMetric.matches("/")`;
  const ratio = `text.engineMetric.replace(" ", "").replace("/", " / ")`;
  return [
    ...idle,
    {
      when: every(kindsAreKnown, not(isRatio), `${kind} in variables.kindProblems`),
      says: `variables.kindProblems[${kind}]`,
    },
    {
      when: every(kindsAreKnown, isRatio, `${kind} in variables.ratioProblems`),
      says: `variables.ratioProblems[${kind}].replace(${literal(seriesText(anyRatio))}, ${ratio})`,
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
  const own = `[metric, activationMetric].filter(name, name in variables.engineMetrics && name != "engine_metric")`;
  const anyPages = engineNames.flatMap((engine) => {
    const key = ofAnyPage(engine);
    return key === undefined ? [] : [{ engine, key }];
  });
  const elsewhere = every(
    "readsEngine",
    "engine in variables.frontEnds",
    not(hasAny([...endpointNames, "podSelector"])),
  );
  return [
    {
      when: every(elsewhere, not(`engine in ${list(anyPages.map(({ engine }) => engine))}`)),
      says: says`endpoint: must be given for engine ${"engine"}, which is not in the workload's pods; or podSelector, for its own pods`,
    },
    ...anyPages.map(({ engine, key }) => ({
      when: every(elsewhere, `engine == ${literal(engine)}`, not(has(key))),
      says: literal(
        `endpoint: must be given for engine ${engine}, or ${key} for pages of the pods`,
      ),
    })),
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
    when: has(name),
    says: says`${literal(`${name}: only has a meaning for a metric of an engine, got `)}${"metric"}`,
  }));
}
