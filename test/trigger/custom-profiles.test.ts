import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { profilesMax } from "#core/limits.ts";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { builtInProfiles, profileNames } from "#trigger/profiles.ts";
import { parseTrigger } from "#trigger/trigger.ts";

function tableOf(yaml: string) {
  const { table, problems } = parseProfiles(yaml);
  if (table === undefined) throw new Error(problems.join("\n"));
  return table;
}
const problemsOf = (yaml: string) => parseProfiles(yaml).problems ?? [];
/** One profile named `chat`, in flow style. */
const chat = (fields: string) => `profiles: { chat: { ${fields} } }`;
const least = "metric: queue_depth, target: 4";

describe("parseProfiles() gives", () => {
  test("a profile with every default, beside those built in", () => {
    const table = tableOf(chat(least));
    expect([...table.keys()]).toEqual([...profileNames, "chat"]);
    expect(table.get("chat")).toEqual({
      metric: "queue_depth",
      target: 4,
      activationThreshold: 0,
      scalesToZero: true,
      metricType: "AverageValue",
    });
  });

  test("everything that a profile can say", () => {
    const table = tableOf(`
profiles:
  jobs:
    metric: engine_metric
    target: 2.5
    activationMetric: queue_depth
    activationThreshold: 1
    scalesToZero: false
    metricType: Value
    windowSeconds: 60
    aggregation: avg
    replicaAggregation: p95
    engine: vllm
    engineMetric: app:jobs
    engineReduce: mean
    engineLabels: 'pool="a"'
`);
    expect(parseTrigger({ profile: "jobs" }, table)).toEqual({
      profile: "jobs",
      metric: "engine_metric",
      target: 2.5,
      activationMetric: "queue_depth",
      activationThreshold: 1,
      alwaysActive: true,
      advisedMetricType: "Value",
      windowSeconds: 60,
      aggregation: "avg",
      replicaAggregation: "p95",
      engine: "vllm",
      engineMetric: { metric: "app:jobs", reduce: "mean" },
      engineLabels: [{ label: "pool", op: "=", value: "a" }],
      gpuIndex: -1,
      pollIntervalSeconds: 10,
      metricName: "gpu-engine-metric",
    });
  });

  test("Value as the advice for a latency", () => {
    expect(tableOf(chat("metric: e2e_p95_ms, target: 900")).get("chat")?.metricType).toBe("Value");
  });

  test("those built in alone, for a file without profiles", () => {
    expect(tableOf("profiles: {}")).toEqual(builtInProfiles);
  });
});

test("a trigger may override each field of a custom profile", () => {
  const table = tableOf(
    chat("metric: engine_metric, target: 2, engine: tgi, engineMetric: a, engineReduce: max"),
  );
  expect(parseTrigger({ profile: "chat", engineMetric: "b", engine: "vllm" }, table)).toMatchObject(
    { engine: "vllm", engineMetric: { metric: "b", reduce: "max" }, target: 2 },
  );
  const other = parseTrigger(
    { profile: "chat", metricType: "queue_depth", targetValue: "5" },
    table,
  );
  expect(other).toMatchObject({ metric: "queue_depth", target: 5 });
  expect(other.engineMetric).toBeUndefined();
});

test("a misspelt custom profile is guessed", () => {
  const table = tableOf("profiles: { shop-assistant: { metric: queue_depth, target: 4 } }");
  expect(() => parseTrigger({ profile: "shop-asistant" }, table)).toThrow(
    "did you mean shop-assistant?",
  );
  expect(() => parseTrigger({ profile: "shop-assistant" })).toThrow("profile: must be one of");
});

describe("parseProfiles() refuses", () => {
  test.each([
    ["no YAML", "profiles: [", "line 1, column 12: must be one YAML document: "],
    ["an empty file", "", "the file: must be a mapping of keys"],
    [
      "several documents",
      "profiles: {}\n---\nprofiles: {}",
      "line 2, column 1: must be one YAML doc",
    ],
    [
      "a file of other things",
      "profile: {}\nprofiles: {}",
      "profile: unknown key; did you mean profiles?",
    ],
    ["a file without profiles", "{}", "profiles: required"],
    ["a list", "profiles: [a]", "profiles: must be a mapping of names to profiles"],
    ["a profile that is text", "profiles: { chat: x }", "profiles.chat: must be a mapping"],
    [
      "a profile of the contract",
      `profiles: { training: { ${least} } }`,
      "profiles.training: is built in and cannot be redefined",
    ],
    ["a name with capitals", `profiles: { Chat: { ${least} } }`, 'profiles."Chat": must be named'],
    ["no metric", chat("target: 4"), "profiles.chat.metric: required"],
    ["no target", chat("metric: queue_depth"), "profiles.chat.target: required"],
    ["a metric nobody has", chat("metric: queue_dept, target: 4"), "did you mean queue_depth?"],
    ["a misspelt field", chat(`${least}, targett: 4`), "profiles.chat.targett: unknown key"],
    ["a target of 0", chat("metric: queue_depth, target: 0"), "must be a number from 0.001 to"],
    ["a target as text", chat('metric: queue_depth, target: "4"'), "must be a number, got"],
    ["NaN", chat("metric: queue_depth, target: .nan"), "profiles.chat.target: must be a number"],
    ["infinity", chat("metric: queue_depth, target: .inf"), "must be a number from 0.001"],
    ["a negative threshold", chat(`${least}, activationThreshold: -1`), "must be a number from 0"],
    ["text for a flag", chat(`${least}, scalesToZero: never`), "must be true or false"],
    ["half a second", chat(`${least}, windowSeconds: 0.5`), "must be a whole number from 0 to 600"],
    [
      "another metricType",
      chat(`${least}, metricType: Utilization`),
      "must be one of AverageValue",
    ],
    ["a misspelt engine", chat(`${least}, engine: vlm`), "did you mean vllm?"],
    [
      "a series without a name",
      chat("metric: engine_metric, target: 1"),
      "profiles.chat.engineMetric: must be given",
    ],
    [
      "a series beside another metric",
      chat(`${least}, engineMetric: a`),
      "profiles.chat.engineMetric: means metric engine_metric, got metric queue_depth",
    ],
    ["a kind alone", chat(`${least}, engineMetricKind: gauge`), "only has a meaning beside"],
    [
      "a histogram without a quantile",
      chat("metric: engine_metric, target: 1, engineMetric: a, engineMetricKind: histogram"),
      "engineReduce: must be one of p50, p90, p95, p99",
    ],
    ["a reducer alone", chat(`${least}, engineReduce: max`), "only has a meaning beside"],
    ["a label by ==", chat(`${least}, engineLabels: 'a=="b"'`), "must be label matchers"],
    [
      "a quantile of a ratio",
      chat("metric: engine_metric, target: 1, engineMetric: a / b, engineReduce: p95"),
      "engineReduce: p95 is of one histogram, got the ratio a / b",
    ],
    [
      "a pattern that RE2 lacks",
      chat(`${least}, engineLabels: 'a=~"(?=b)"'`),
      "the pattern of a is none of RE2's, invalid or unsupported Perl syntax",
    ],
    ["a page in JSON", chat(`${least}, engine: json`), "must be one of dynamo-frontend"],
    ["any page's queue", chat(`${least}, engine: prometheus`), "tells nothing but an engineMetric"],
  ])("%s", (_what, yaml, problem) => {
    const problems = problemsOf(yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test("everything at once", () => {
    const problems = problemsOf(`
profiles:
  batch: { metric: queue_depth, target: 4 }
  chat: { metric: queue_dept, target: 0, colour: red }
  jobs: { target: 1 }
`);
    expect(problems.map((problem) => problem.split(":").slice(0, 2).join(":"))).toEqual([
      "line 3, column 3: profiles.batch",
      "line 4, column 19: profiles.chat.metric",
      "line 4, column 39: profiles.chat.target",
      "line 4, column 42: profiles.chat.colour",
      "line 5, column 9: profiles.jobs.metric",
    ]);
  });

  test("more profiles than the limit", () => {
    const many = Array.from({ length: profilesMax + 1 }, (_, n) => `  p${n}: { ${least} }`);
    expect(problemsOf(`profiles:\n${many.join("\n")}`)).toEqual([
      "line 1, column 1: profiles: must be at most 200, got 201",
    ]);
  });
});

test("any text is a table, or problems", () => {
  const yaml = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json().map((json) => `profiles: ${json}`),
    fc.json().map((json) => `profiles: { chat: ${json} }`),
  );
  fc.assert(
    fc.property(yaml, (text) => {
      const { table, problems } = parseProfiles(text);
      if (table === undefined) expect(problems.length).toBeGreaterThan(0);
      else for (const [name, profile] of builtInProfiles) expect(table.get(name)).toBe(profile);
    }),
  );
});
