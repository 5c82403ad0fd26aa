import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import * as v from "valibot";
import { profilesMax, targetLeast, triggerNumberMax, windowSecondsMax } from "#core/limits.ts";
import { metricTypes } from "#kubernetes/hpa.ts";
import { metricNames } from "#metric/catalogue.ts";
import { seriesKinds, seriesReducers } from "#metric/engines.ts";
import { reducerNames } from "#metric/reduce.ts";
import { profileEngines, profileFields } from "#trigger/custom-profiles.ts";
import { profileNames, replicaReducers } from "#trigger/profiles.ts";
import { namedSeries } from "#trigger/rules.ts";
import packageJson from "../../package.json";
import { chartPath } from "../../tools/render-manifests.ts";

const valuesText = await Bun.file(join(chartPath, "values.yaml")).text();

interface Schema {
  readonly type?: unknown;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
  readonly items?: Schema;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly definitions?: Readonly<Record<string, Schema>>;
}
const schema: Schema = v.parse(
  v.custom<Schema>((input) => v.is(v.object({ properties: v.object({}) }), input)),
  await Bun.file(join(chartPath, "values.schema.json")).json(),
);
const resolve = (part: Schema): Schema =>
  part.$ref === undefined
    ? part
    : (schema.definitions?.[part.$ref.replace("#/definitions/", "")] ?? {});

/** `image.tag`, for every value that the schema knows, down to maps that users fill. */
function schemaPaths(part: Schema, prefix = ""): readonly string[] {
  return Object.entries(part.properties ?? {}).flatMap(([name, child]) => {
    const { properties } = resolve(child);
    const path = `${prefix}${name}`;
    return properties === undefined || userShapes.has(path)
      ? [path]
      : schemaPaths(resolve(child), `${path}.`);
  });
}

/** Values whose inside is Kubernetes' own, documented as a whole. */
const userShapes = new Set([
  "affinity",
  "scaler.affinity",
  "agent.resources",
  "scaler.resources",
  "agent.updateStrategy",
]);

/** The path of every key that has a `# --` sentence above it. */
function explainedPaths(): readonly string[] {
  const explained: string[] = [];
  const parents: string[] = [];
  let sentence = false;
  for (const line of valuesText.split("\n")) {
    const comment = /^ *# (-- [A-Z].*)?/.exec(line);
    if (comment !== null) {
      sentence ||= comment[1] !== undefined;
      continue;
    }
    const [, indent, name] = /^( *)([A-Za-z]+):/.exec(line) ?? [];
    if (indent === undefined || name === undefined) continue;
    parents.length = indent.length / 2;
    parents.push(name);
    if (sentence) explained.push(parents.join("."));
    sentence = false;
  }
  return explained;
}

describe("the chart's values", () => {
  test("each has a sentence, and the schema knows just these", () => {
    const known = schemaPaths(schema).filter((path) => path !== "global");
    expect(explainedPaths().toSorted()).toEqual([...known].toSorted());
  });

  test("no part of the schema lets an unknown name pass, but maps of names to text", () => {
    const open: string[] = [];
    const visit = (part: Schema, path: string) => {
      const { properties, additionalProperties, items } = part;
      if (properties !== undefined && additionalProperties !== false) open.push(path);
      if (items !== undefined) visit(items, `${path}[]`);
      for (const [name, child] of Object.entries(properties ?? {})) visit(child, `${path}.${name}`);
    };
    visit(schema, "values");
    for (const [name, part] of Object.entries(schema.definitions ?? {})) visit(part, name);
    // A volume is one of some thirty kinds, which the API server knows better.
    expect(open).toEqual(["named[]"]);
  });
});

describe("a profile may say in the chart what it may say in its file", () => {
  const { properties = {} } = schema.definitions?.["profile"] ?? {};

  test("the same fields", () => {
    expect(Object.keys(properties).toSorted()).toEqual(profileFields.toSorted());
  });

  test.each<[string, readonly string[]]>([
    ["metric", metricNames],
    ["activationMetric", metricNames],
    ["aggregation", reducerNames],
    ["replicaAggregation", replicaReducers],
    ["engine", profileEngines],
    ["engineMetricKind", seriesKinds],
    ["engineReduce", seriesReducers],
    ["metricType", metricTypes],
  ])("%s is one of the same names", (field, names) => {
    expect(resolve(properties[field] ?? {}).enum).toEqual(names);
  });

  test.each(["a", "a:b_1 / c", "a/b", "a /", "a / b / c", "1a", "a".repeat(201), "a  / b", "a{}"])(
    "the same series: %s",
    (text) => {
      const pattern = new RegExp(resolve(properties["engineMetric"] ?? {}).pattern ?? "");
      expect(pattern.test(text)).toBe(v.safeParse(namedSeries.schema, text).success);
    },
  );

  test("the same bounds", () => {
    const { target, activationThreshold, windowSeconds } = properties;
    expect(target).toMatchObject({ minimum: targetLeast, maximum: triggerNumberMax });
    expect(activationThreshold).toMatchObject({ minimum: 0, maximum: triggerNumberMax });
    expect(windowSeconds).toMatchObject({ minimum: 0, maximum: windowSecondsMax });
    expect(schema.properties?.["profiles"]).toMatchObject({
      maxProperties: profilesMax,
      propertyNames: { not: { enum: profileNames } },
    });
  });
});

test("chart, program and package have one version", async () => {
  const chart = v.parse(
    v.object({ version: v.string(), appVersion: v.string() }),
    Bun.YAML.parse(await Bun.file(join(chartPath, "Chart.yaml")).text()),
  );
  const { version } = packageJson;
  expect(chart).toEqual({ version, appVersion: version });
});
