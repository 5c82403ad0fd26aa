import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  matchesLabels,
  parseSelector,
  type SelectorRequirement,
} from "#kubernetes/label-selector.ts";

const labels = {
  app: "llm",
  tier: "gpu",
  empty: "",
  count: "7",
  huge: "9223372036854775808",
  "example.org/team": "red",
};

function matches(selector: string, given: Readonly<Record<string, string>> = labels): boolean {
  const parsed = parseSelector(selector);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return matchesLabels(parsed.requirements, given);
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
    ["!constructor", true],
    ["count>6", true],
    ["count > 7", false],
    ["count<8", true],
    ["count < 7", false],
    ["count>07", false],
    ["count<9223372036854775807", true],
    ["huge>1", false],
    ["huge<1", false],
    ["app>1", false],
    ["app<1", false],
    ["absent>1", false],
    ["absent<1", false],
    ["empty<1", false],
    [`app!=${"x".repeat(63)}`, true],
    [`${"x".repeat(63)}!=llm`, true],
    [`${"x".repeat(253)}/app!=llm`, true],
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
    "app>x",
    "app>",
    "app>-1",
    "app>=5",
    "count>9223372036854775808",
    `count<${"9".repeat(64)}`,
    "!app>5",
    "a/b/c=d",
    "/app",
    "UPPER.io/app",
    "a..b/app",
    "a.-b/app",
    `app=${"x".repeat(64)}`,
    `app in (a,${"x".repeat(64)})`,
    "x".repeat(64),
    `${"x".repeat(254)}/app`,
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
  const domain = fc.stringMatching(/^[a-z]([-a-z0-9]{0,6}[a-z0-9])?(\.[a-z0-9]{1,3}){0,2}$/);
  const key = fc.oneof(
    name,
    fc.tuple(domain, name).map(([prefix, own]) => `${prefix}/${own}`),
  );
  const value = fc.oneof(fc.constant(""), name);
  const requirement: fc.Arbitrary<SelectorRequirement> = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.array(value, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      key,
      operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
      values: fc.constant([]),
    }),
    fc.record({
      key,
      operator: fc.constantFrom("Gt" as const, "Lt" as const),
      values: fc.bigInt(0n, 2n ** 63n - 1n).map((bound) => [`${bound}`]),
    }),
  );
  const space = fc.constantFrom("", " ", "  ");
  const written = fc.tuple(requirement, space).map(([each, gap]) => write(each, gap));

  test("means what was written, however it is spaced", () => {
    const withText = fc.array(
      fc
        .tuple(requirement, space)
        .map(([each, gap]) => ({ requirement: each, text: write(each, gap), gap })),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(withText, (parts) => {
        const text = parts.map((part) => part.text).join(parts[0]?.gap === "" ? "," : " , ");
        expect(parseSelector(text)).toEqual({
          requirements: parts.map((part) => part.requirement),
        });
      }),
    );
  });

  test("is a conjunction: it matches exactly when each of its requirements does", () => {
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
        expect("problem" in parsed !== "requirements" in parsed).toBe(true);
      }),
    );
  });
});

function write({ key, operator, values }: SelectorRequirement, gap: string): string {
  if (operator === "Exists") return key;
  if (operator === "DoesNotExist") return `!${gap}${key}`;
  if (operator === "Gt" || operator === "Lt")
    return `${key}${gap}${operator === "Gt" ? ">" : "<"}${gap}${values.join()}`;
  return `${key} ${operator.toLowerCase()}${gap}(${values.join(`${gap},${gap}`)})`;
}
