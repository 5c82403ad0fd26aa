import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { matchesTerms, parseSelector, type Term } from "#kubernetes/label-selector.ts";

const labels = { app: "llm", tier: "gpu", empty: "", "example.org/team": "red" };

function matches(selector: string, given: Readonly<Record<string, string>> = labels): boolean {
  const parsed = parseSelector(selector);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return matchesTerms(parsed.terms, given);
}

describe("a label selector", () => {
  test.each([
    ["", true],
    ["app=llm", true],
    ["app==llm", true],
    ["app = llm , tier = gpu", true],
    ["app=llm,tier=cpu", false],
    ["app!=llm", false],
    ["absent!=llm", true],
    ["absent=", false],
    ["empty=", true],
    ["app", true],
    ["!app", false],
    ["!absent", true],
    ["app in (llm,embedding)", true],
    ["app in (embedding, rerank),tier", false],
    ["app in ()", false],
    ["empty in ()", true],
    ["app notin (embedding)", true],
    ["app notin (llm)", false],
    ["absent notin (llm)", true],
    ["example.org/team=red", true],
    ["example.org/team in (blue,red),app=llm,!absent", true],
    ["in in (x)", false],
    ["constructor", false],
  ])("%p matches: %p", (selector, expected) => {
    expect(matches(selector)).toBe(expected);
  });

  test.each([
    ",",
    "app=llm,",
    "app=llm tier=gpu",
    "app in llm",
    "app in (llm",
    "app in (l l)",
    "app=-llm",
    "-app",
    "app>5",
    "a/b/c=d",
    "=llm",
    "!",
    "app=(llm)",
  ])("%p is refused", (selector) => {
    const parsed = parseSelector(selector);
    expect(parsed).toEqual({
      problem: expect.stringContaining("must be a Kubernetes label selector, got"),
    });
  });

  const name = fc.stringMatching(/^[a-z]([-a-z0-9_.]{0,6}[a-z0-9])?$/);
  const key = fc.oneof(
    name,
    fc.tuple(name, name).map(([one, two]) => `${one.replaceAll("_", "-")}.io/${two}`),
  );
  const value = fc.oneof(fc.constant(""), name);
  const term: fc.Arbitrary<Term> = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom("in" as const, "notin" as const),
      values: fc.array(value, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      key,
      operator: fc.constantFrom("exists" as const, "absent" as const),
      values: fc.constant([]),
    }),
  );
  const space = fc.constantFrom("", " ", "  ");
  const written = fc.tuple(term, space).map(([each, gap]) => write(each, gap));

  test("means what was written, however it is spaced", () => {
    const withText = fc.array(
      fc.tuple(term, space).map(([each, gap]) => ({ term: each, text: write(each, gap), gap })),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(withText, (parts) => {
        const text = parts.map((part) => part.text).join(parts[0]?.gap === "" ? "," : " , ");
        expect(parseSelector(text)).toEqual({ terms: parts.map((part) => part.term) });
      }),
    );
  });

  test("is a conjunction: it matches exactly when each of its terms does", () => {
    const given = fc.dictionary(key, value, { maxKeys: 4 });
    fc.assert(
      fc.property(fc.array(written, { maxLength: 4 }), given, (parts, some) => {
        expect(matches(parts.join(","), some)).toBe(parts.every((part) => matches(part, some)));
      }),
    );
  });

  test("and its opposite never match together", () => {
    fc.assert(
      fc.property(
        key,
        fc.array(value, { minLength: 1 }),
        fc.dictionary(key, value),
        (of, values, some) => {
          const list = `(${values.join(",")})`;
          expect(matches(`${of} in ${list}`, some)).toBe(!matches(`${of} notin ${list}`, some));
          expect(matches(of, some)).toBe(!matches(`!${of}`, some));
        },
      ),
    );
  });

  test("of any text is parsed or refused, and never throws", () => {
    const alphabet = fc.constantFrom(..."ab=!(),/ -.<>intoé".split(""));
    fc.assert(
      fc.property(fc.string({ unit: alphabet }), (text) => {
        const parsed = parseSelector(text);
        expect("problem" in parsed !== "terms" in parsed).toBe(true);
      }),
    );
  });
});

function write({ key, operator, values }: Term, gap: string): string {
  if (operator === "exists") return key;
  if (operator === "absent") return `!${gap}${key}`;
  return `${key} ${operator}${gap}(${values.join(`${gap},${gap}`)})`;
}
