/** Other words for metrics: each means something that there is, as the engines' adapters say too. */
import { describe, expect, test } from "bun:test";
import { adapters } from "#engine/adapters/all.ts";
import { engineAliases, metricAliases, reducerAliases, seriesAliases } from "#metric/aliases.ts";
import { metricNames, metricOf } from "#metric/catalogue.ts";
import { engineNames, seriesReducers } from "#metric/engines.ts";
import { reducerNames } from "#metric/reduce.ts";

test.each<[string, typeof metricAliases, readonly string[]]>([
  ["metrics", metricAliases, metricNames],
  ["engines", engineAliases, engineNames],
  ["reducers", reducerAliases, [...reducerNames, ...seriesReducers]],
])("aliases of %s are lower case and mean what there is", (_what, aliases, names) => {
  for (const [alias, meant] of Object.entries(aliases)) {
    expect(alias).toBe(alias.toLowerCase());
    expect(meant.length).toBeGreaterThan(0);
    for (const name of meant) expect(names).toContain(name);
  }
  for (const name of names)
    if (Object.hasOwn(aliases, name)) expect(aliases[name]).not.toContain(name);
});

describe("a series is suggested as the metric that an adapter makes of it", () => {
  const base = (name: string) => name.replace(/_(total|bucket|sum|count)$/, "");
  test.each(Object.entries(seriesAliases))("%s is %j", (series, metrics) => {
    const signals = metrics.map((metric) => {
      const row = metricOf(metric);
      return row.source === "engine" ? row.signal : undefined;
    });
    const made = adapters.flatMap((adapter) =>
      Object.entries(adapter.signals)
        .filter(([signal]) => signals.some((one) => one === signal))
        .flatMap(([, formulas]) => JSON.stringify(formulas)),
    );
    expect(made.some((formulas) => formulas.includes(`"${base(series)}`))).toBe(true);
  });
});
