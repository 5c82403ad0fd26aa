import { expect, test } from "bun:test";
import { join } from "node:path";
import { metricAliases } from "#metric/aliases.ts";

const document = await Bun.file(join(import.meta.dir, "..", "..", "docs", "migrating.md")).text();

test("docs/migrating.md has every field of DCGM with the metric that a refusal names", () => {
  const rows = [...document.matchAll(/^\| `(?<field>DCGM_\w+)` *\| (?<metrics>[^|]+)\|/gm)].map(
    ({ groups }) => [
      groups?.["field"]?.toLowerCase(),
      [...(groups?.["metrics"] ?? "").matchAll(/`(\w+)`/g)].map(([, metric]) => metric),
    ],
  );
  const known = Object.entries(metricAliases).filter(([alias]) => alias.startsWith("dcgm_"));
  expect(rows.toSorted()).toEqual(
    known.map(([alias, metrics]) => [alias, [...metrics]]).toSorted(),
  );
});
