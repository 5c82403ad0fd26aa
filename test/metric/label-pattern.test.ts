import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { labelPatternStepsMax, labelPatternsMax } from "#core/limits.ts";
import { type LabelPattern, parsePattern, sharedPatterns } from "#metric/label-pattern.ts";

function patternOf(text: string): LabelPattern {
  const { pattern, problem } = parsePattern(text);
  if (pattern === undefined) throw new Error(problem);
  return pattern;
}
const isMatch = (text: string, value: string) => patternOf(text).matches(value);

describe("a pattern", () => {
  test.each<[string, string, boolean]>([
    ["llama", "llama", true],
    ["llama", "llama-3", false],
    ["llama", "a llama", false],
    ["a|bc", "bc", true],
    ["a|bc", "abc", false],
    ["a|bc", "ac", false],
    ["", "", true],
    ["", "a", false],
    [".*", "", true],
    [".+", "", false],
    ["a.b", "a\nb", true],
    ["^a$", "a", true],
    ["(?i)llama", "LLaMA", true],
    ["gpt-3\\.5", "gpt-3x5", false],
    ["\\d{2,3}", "1234", false],
    ["[[:alpha:]]+", "abc", true],
    ["\\pL+", "éß", true],
    [".", "😀", true],
  ])("%p of %p is %p", (text, value, expected) => {
    expect(isMatch(text, value)).toBe(expected);
  });

  test("means what it means to a regular expression over the whole value", () => {
    const atom = fc.constantFrom("a", "b", "ab", ".", "[ab]", "[^a]", "(?:a|b)", "(?:|b)", "\\.");
    const piece = fc
      .tuple(atom, fc.constantFrom("", "*", "+", "?", "{0,2}", "*?"))
      .map((two) => two.join(""));
    const text = fc.array(
      fc.array(piece, { maxLength: 4 }).map((some) => some.join("")),
      { minLength: 1, maxLength: 3 },
    );
    const value = fc.array(fc.constantFrom("a", "b", ".", "c", "\n"), { maxLength: 8 });
    fc.assert(
      fc.property(text, value, (ways, letters) => {
        const source = ways.join("|");
        const plain = new RegExp(`^(?:${source})$`, "s");
        const joined = letters.join("");
        expect(isMatch(source, joined)).toBe(plain.test(joined));
      }),
    );
  });

  test.each<[string, string]>([
    ["(?=a)a", "invalid or unsupported Perl syntax: `(?=`"],
    ["(?!a)b", "invalid or unsupported Perl syntax: `(?!`"],
    ["(?<=a)b", "invalid named capture: `(?<=a)b`"],
    ["(a)\\1", "invalid escape sequence: `\\1`"],
    ["a)(b", "unexpected ): `a)(b`"],
    ["[", "missing closing ]: `[`"],
    ["a{1001}", "invalid repeat count: `{1001}`"],
    ["(?:a{1,30}){1,30}", `it has at most ${labelPatternStepsMax} steps, got 1801`],
  ])("%p is refused", (text, problem) => {
    expect(parsePattern(text)).toEqual({ problem });
  });

  test("that a backtracking matcher never ends with is matched like any other", () => {
    const value = `${"a".repeat(20_000)}!`;
    for (const text of ["(a+)+", "(a*)*b", "(a|aa)+", "(.*)*x", "(a|b)*a(a|b){20}"])
      expect(isMatch(text, value)).toBe(false);
  });
});

describe("shared patterns", () => {
  test("are prepared once, until as many others were used since", () => {
    const shared = sharedPatterns();
    const first = shared("a.*");
    expect(shared("a.*")).toBe(first);
    for (let at = 1; at < labelPatternsMax; at += 1) shared(`b${at}`);
    expect(shared("a.*")).toBe(first);
    for (let at = 0; at < labelPatternsMax; at += 1) shared(`c${at}`);
    expect(shared("a.*")).not.toBe(first);
  });
  test("are never wrong ones", () => {
    expect(() => sharedPatterns()("[")).toThrow("missing closing");
  });
});
