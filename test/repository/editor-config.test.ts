import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import biome from "../../biome.json" with { type: "json" };
import { lineCharsMax } from "./document-rules.ts";

const text = readFileSync(join(import.meta.dir, "..", "..", ".editorconfig"), "utf8");

/** The settings below a heading, as `.editorconfig` spells them. */
function section(glob: string): Readonly<Record<string, string>> {
  const [, after = ""] = text.split(`[${glob}]\n`);
  const [own = ""] = after.split(/^\[/m);
  return Object.fromEntries(own.matchAll(/^(\w+) = (.*)$/gm).map(([, key, value]) => [key, value]));
}

test("editors are told what Biome formats to", () => {
  const { indentStyle, lineWidth } = biome.formatter;
  expect(section("*")).toMatchObject({
    indent_style: indentStyle,
    // Biome's own default.
    indent_size: "2",
    max_line_length: String(lineWidth),
  });
});

test("editors are told how wide documents are", () => {
  expect(section("*.md")).toEqual({ max_line_length: String(lineCharsMax) });
});
