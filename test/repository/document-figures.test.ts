/** Figures that one document takes from another, or from the code, are those that stand there. */
import { describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { commands } from "#cli/commands/all.ts";
import { deviceColumns, triggerColumns } from "#cli/status-text.ts";
import { engineIntervalMs, gatewayIntervalMs } from "#core/limits.ts";
import { desiredReplicas, hpaTolerance } from "#kubernetes/hpa.ts";
import { profileNames } from "#trigger/profiles.ts";

const root = join(import.meta.dir, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

type Row = Readonly<Record<string, string>>;

/** Each table as its rows by heading; the first heading, which may be empty, is `name`. */
function tables(text: string): readonly (readonly Row[])[] {
  return [...text.matchAll(/(?:^\|.*\|\n)+/gm)].map(([table]) => {
    const [head = [], , ...rows] = table
      .trimEnd()
      .split("\n")
      .map((line) =>
        line
          .slice(1, -1)
          .split("|")
          .map((cell) => cell.trim()),
      );
    return rows.map((cells) =>
      Object.fromEntries(cells.map((cell, at) => [at === 0 ? "name" : head[at], cell] as const)),
    );
  });
}

const choosing = read("docs/choosing-a-signal.md");
const bench = read("bench/README.md");
const tablesWith = (text: string, heading: string) =>
  tables(text).filter(([row]) => row !== undefined && Object.hasOwn(row, heading));

test("figures of a trace are those of a table of the bench", () => {
  const measured = tablesWith(bench, "GPU-hours");
  const shown = tablesWith(choosing, "GPU-hours");
  expect(shown).toHaveLength(2);
  const isOf = (table: readonly Row[]) => (row: Row) =>
    table.some((all) => Object.entries(row).every(([heading, cell]) => all[heading] === cell));
  for (const rows of shown) {
    const best = measured.map((table) => rows.filter((row) => !isOf(table)(row)));
    expect(best.toSorted((one, other) => one.length - other.length)[0]).toEqual([]);
  }
});

test("replicas by each formula are what the HPA computes", () => {
  const [rows = []] = tablesWith(choosing, "the highest, `AverageValue`");
  expect(rows.length).toBeGreaterThan(2);
  for (const row of rows) {
    const replicas = Number(row["name"]);
    const [AverageValue, Value] = (["AverageValue", "Value"] as const).map(
      (metricType) => (value: number) =>
        `${desiredReplicas(value, {
          metricType,
          target: 80,
          replicas,
          statusReplicas: replicas,
          readyPods: replicas,
          tolerances: { up: hpaTolerance, down: hpaTolerance },
        })}`,
    );
    expect(row).toEqual({
      name: `${replicas}`,
      "the highest, `AverageValue`": AverageValue?.(95) ?? "",
      "the sum, `AverageValue`": AverageValue?.(95 * replicas) ?? "",
      "the mean, `Value`": Value?.(95) ?? "",
    });
  }
});

describe("the parts of the delay", () => {
  const [rows = []] = tablesWith(choosing, "devices, at most");
  const columns = ["devices, at most", "devices, mean", "engines, at most", "engines, mean"];

  test.each(columns)("%s: add up", (column) => {
    const numbers = rows.map((row) => Number(row[column] || 0));
    const sum = numbers.slice(0, -1).reduce((total, number) => total + number, 0);
    expect(numbers.at(-1)).toBeCloseTo(sum);
  });

  test("are the intervals of the program", () => {
    expect(commands.serve.flags["sample-interval"].fallback).toBe("1s");
    expect(rows[0]).toMatchObject({
      "devices, at most": "1.0",
      "engines, at most": (engineIntervalMs / 1_000).toFixed(1),
    });
    expect(gatewayIntervalMs).toBe(1_000);
    expect(choosing).toContain("the page in front is read each second");
  });

  test("are those of the bench where it measured them", () => {
    const [fleet, following] = [tablesWith(bench, "ready after")[0], tablesWith(bench, "form")[0]];
    const thousand = (table: readonly Row[] = []) =>
      Object.values(table.find(({ name }) => name === "1,000") ?? {});
    expect(thousand(fleet)).toContain("2.4 / 9.9 ms");
    expect(thousand(following)).toContain("0 / 3 ms");
    expect(choosing).toContain("2.4 ms p50, 9.9 ms p99");
    expect(choosing).toContain("0 ms p50, 3 ms p99");
    expect(read("docs/why-not-inside-keda.md")).toMatch(/2\.4 ms at the median[^.]*, 9\.9 ms/);
    expect(read("docs/why-not-inside-keda.md")).toContain("113 MiB at 100 nodes");
    expect(Object.values(fleet?.find(({ name }) => name === "100") ?? {})).toContain("113 MiB");
  });
});

test("the table of workloads names profiles that exist, and every one of them", () => {
  const [rows = []] = tablesWith(choosing, "begin with");
  const named = new Set(
    rows.flatMap((row) =>
      [
        ...Object.values(row)
          .join(" ")
          .matchAll(/`([a-z0-9-]+)`/g),
      ].map(([, name]) => name),
    ),
  );
  const missing = profileNames.filter((name) => !named.has(name));
  expect(missing).toEqual([]);
});

test("the pictures are small, and the screen of top has the columns that it has now", () => {
  const folder = join(root, "docs", "pictures");
  const names = [...new Bun.Glob("*").scanSync({ cwd: folder })].toSorted();
  expect(names).toEqual(["page-dark.png", "page-light.png", "top.svg"]);
  const bytes = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  expect(bytes).toBeLessThan(300_000);
  const screen = read("docs/pictures/top.svg");
  const headings = [triggerColumns({ triggers: [] }), deviceColumns({ nodes: [], atMs: 0 })];
  for (const heading of headings.flatMap(([row = []]) => row)) expect(screen).toContain(heading);
});

test("the program is called in a pod where the image has it", () => {
  const [, path] = /^ENTRYPOINT \["(.*)"\]$/m.exec(read("Containerfile")) ?? [];
  const called = [...read("docs/getting-started.md").matchAll(/kubectl .* exec .* -- (\S+)/g)];
  expect(called.length).toBeGreaterThan(3);
  for (const [, program] of called) expect(program).toBe(path ?? "");
});
