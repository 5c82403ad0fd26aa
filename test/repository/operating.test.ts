/** What docs/operating.md lists is what the code has. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import * as limits from "#core/limits.ts";
import { grpcCodes } from "#rpc/codes.ts";

const root = join(import.meta.dir, "..", "..");
const read = (path: string) => Bun.file(join(root, path)).text();
const document = await read("docs/operating.md");

/** The cells of each row under a heading, up to the next one. */
function rowsUnder(heading: string): readonly (readonly string[])[] {
  const [, after = ""] = document.split(new RegExp(`^#+ ${heading}$`, "m"));
  const [section = ""] = after.split(/^#/m);
  const [, , ...rows] = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}
const named = (cell = "") => cell.match(/^`([^`]+)`$/)?.[1] ?? cell;
const codesUnder = (heading: string) => rowsUnder(heading).map(([cell]) => named(cell));

test("every fault that may reach a caller has a row, and no other", () => {
  const told = Object.entries(grpcCodes).filter(([, code]) => code !== Code.Internal);
  expect(codesUnder("Refusals").toSorted()).toEqual(told.map(([name]) => name).toSorted());
});

test("every warning of a trigger has a row", async () => {
  const source = await read("src/trigger/warnings.ts");
  const [, union = ""] = source.match(/^export type WarningCode =\n([^;]+);/m) ?? [];
  const codes = [...union.matchAll(/"([^"]+)"/g)].map(([, code = ""]) => code);
  expect(codes.length).toBeGreaterThan(10);
  expect(codesUnder("Warnings").toSorted()).toEqual(codes.toSorted());
});

describe("a limit is the code's", () => {
  const constants: ReadonlyMap<string, unknown> = new Map(Object.entries(limits));
  test.each(rowsUnder("Limits"))("%s: %s, %s", (_what, amount, cell) => {
    const name = named(cell);
    expect(amount).toBe(amountOf(name, Number(constants.get(name))));
  });
});

/** A number as the table writes it, with the unit that the end of its name says. */
function amountOf(name: string, value: number): string {
  const [, unit] = name.match(/(Ms|Bytes)(?:Max|Share)?$/) ?? [];
  if (unit === "Bytes")
    return value < 2 ** 20 ? `${value / 2 ** 10} KiB` : `${value / 2 ** 20} MiB`;
  if (unit === "Ms") return value < 60_000 ? `${value / 1000} s` : `${value / 60_000} min`;
  return value.toLocaleString("en-US");
}

test("the sizes of a fleet are those that the bench measured", async () => {
  const bench = await read("bench/README.md");
  const rows = rowsUnder("Sizing");
  expect(rows.length).toBeGreaterThan(2);
  for (const [nodes = "", ...cells] of rows) {
    const measured = bench.split("\n").filter((line) => line.startsWith(`| ${nodes} `));
    const isThere = measured.some((line) => cells.every((cell) => line.includes(`| ${cell} `)));
    expect([nodes, isThere]).toEqual([nodes, true]);
  }
});
