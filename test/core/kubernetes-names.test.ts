import { describe, expect, test } from "bun:test";
import { digest } from "#core/digest.ts";
import { isLabel, isObjectName } from "#core/kubernetes-names.ts";
import { quoted } from "#core/quoted.ts";

describe("a name of Kubernetes", () => {
  const labels = ["a", "0", "ml", "team-a", "1-a", "a--b", "a".repeat(63)];
  const objectNames = ["node-1.example", "a.b.c", "a".repeat(253), `${"a".repeat(251)}.b`];
  const neither = [
    ...["", "A", "a_b", "a b", "-a", "a-", ".", ".a", "a.", "a..b", "a.-b", "a-.b"],
    ...["../a", "a/b", "a\n", "\na", "ü", "aA", "Aa", "a".repeat(254), `a.${"b".repeat(252)}`],
  ];

  test.each(labels)("%j is that of a namespace, and of any object", (text) => {
    expect([isLabel(text), isObjectName(text)]).toEqual([true, true]);
  });

  test.each(objectNames)("%j is that of an object, and of no namespace", (text) => {
    expect([isLabel(text), isObjectName(text)]).toEqual([false, true]);
  });

  test.each(neither)("%j is none", (text) => {
    expect([isLabel(text), isObjectName(text)]).toEqual([false, false]);
  });
});

test("quoted() cuts what is longer than 60 characters", () => {
  expect(quoted('a"\n')).toBe(String.raw`"a\"\n"`);
  expect(quoted("x".repeat(60))).toBe(`"${"x".repeat(60)}"`);
  expect(quoted("x".repeat(61))).toBe(`"${"x".repeat(60)}…"`);
});

test("digest() is short and another one for another text", () => {
  const texts = ["", "a", "b", "ab", "x".repeat(100_000), "x".repeat(100_001)];
  expect(new Set(texts.map(digest)).size).toBe(texts.length);
  for (const text of texts) expect(digest(text)).toMatch(/^[\w-]{43}$/);
});
