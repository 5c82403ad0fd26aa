/**
 * Mutations of YAML by its lines: doubled, moved, indented otherwise, taken from another file, and given
 * what YAML has beside keys and values.
 *
 * @module
 */
import type { Draws } from "./draws.ts";
import { inputBytesMax, mutateText } from "./mutate-bytes.ts";
import type { Mutate } from "./target.ts";

const yamlWords = [
  "&a ",
  "*a",
  "<<: *a",
  "!!str ",
  "!!int ",
  "!!binary ",
  "!!set ",
  "!!omap ",
  "!!timestamp ",
  "!x ",
  "---\n",
  "...\n",
  "%YAML 1.1\n---\n",
  "- ",
  "? ",
  ": ",
  "|\n",
  ">-\n",
  "{",
  "}",
  "[",
  "]",
  "{}",
  "[]",
  "# ",
  "~",
  "null",
  "true",
  "no",
  "0o17",
  "1:30",
  "2001-12-14",
  "\t",
] as const;

export function mutateYaml(words: readonly string[]): Mutate {
  const asText = mutateText([...words, ...yamlWords]);
  return (draws, input, other) => {
    if (draws.oneIn(3)) return asText(draws, input, other);
    const lines = input.toString("latin1").split("\n");
    const others = other.toString("latin1").split("\n");
    for (let count = draws.few(5); count >= 0; count -= 1) changeLines(draws, lines, others, words);
    return Buffer.from(lines.join("\n"), "latin1").subarray(0, inputBytesMax);
  };
}

function changeLines(
  draws: Draws,
  lines: string[],
  others: readonly string[],
  words: readonly string[],
): void {
  const at = draws.below(lines.length);
  const line = lines[at] ?? "";
  const [, indent = "", key = "", value = ""] = /^(\s*(?:- )*)([^:]*:?)(.*)$/.exec(line) ?? [];
  const edits: readonly (() => void)[] = [
    () => lines.splice(at, 1 + draws.few(3)),
    () => lines.splice(draws.below(lines.length + 1), 0, ...lines.slice(at, at + 1 + draws.few(6))),
    () => {
      const from = draws.below(others.length);
      lines.splice(at, 0, ...others.slice(from, from + 1 + draws.few(8)));
    },
    () => {
      lines[at] = draws.oneIn(2) ? `  ${line}` : line.replace(/^ {2}/, "");
    },
    () => {
      lines[at] = `${indent}${key} ${draws.of(words)}`;
    },
    () => {
      lines[at] = `${indent}${draws.of(words)}:${value}`;
    },
    () => {
      lines[at] = `${indent}${key} ${draws.of(yamlWords)}${value.trim()}`;
    },
    () => {
      lines[at] = `${indent}${key} &a${value}`;
      lines.splice(draws.below(lines.length + 1), 0, `${indent}${key} *a`);
    },
  ];
  draws.of(edits)();
}
