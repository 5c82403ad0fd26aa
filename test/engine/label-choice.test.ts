import { describe, expect, test } from "bun:test";
import { labelPatternWorkMax } from "#core/limits.ts";
import { labelChoice } from "#engine/signal/label-choice.ts";
import type { LabelMatcher } from "#metric/engines.ts";
import { sharedPatterns } from "#metric/label-pattern.ts";
import { queryFor, readPages, shown } from "./pages.ts";

const text = [
  "jobs 100",
  'jobs{model="llama-3"} 1',
  'jobs{model="llama-4"} 2',
  'jobs{model="my-llama-3"} 4',
  'jobs{model="gpt",tier="a"} 8',
].join("\n");

function read(...match: readonly LabelMatcher[]) {
  const query = queryFor({ metric: "jobs" }, { match });
  return readPages([{ atMs: 0, text: `${text}\n` }], query, "prometheus").result;
}

describe("a matcher with a pattern", () => {
  test.each<[LabelMatcher["op"], string, number]>([
    ["=~", "llama-.*", 3],
    ["!~", "llama-.*", 112],
    ["=~", "llama-3|gpt", 9],
    ["=~", "", 100],
    ["!~", "", 15],
    ["=~", ".*", 115],
    ["!~", ".+", 100],
  ])("%s %p chooses as Prometheus does", (op, value, expected) => {
    expect(shown(read({ label: "model", op, value }))).toBe(expected);
  });

  test("stands beside others", () => {
    const model: LabelMatcher = { label: "model", op: "=~", value: ".*p.*" };
    expect(shown(read(model, { label: "tier", op: "=", value: "a" }))).toBe(8);
    expect(shown(read(model, { label: "tier", op: "!~", value: "a|b" }))).toBe("[lacking]");
  });

  test("that no series passes is told with the values there are", () => {
    const result = read({ label: "model", op: "=~", value: "qwen.*" });
    expect("why" in result && result.why).toBe(
      'its jobs has no series with model=~"qwen.*", there is , gpt, llama-3, llama-4, my-llama-3',
    );
  });

  const longest = (count: number) =>
    Array.from(
      { length: count },
      (_, at) => `jobs{user="${"u".repeat(990)}${10_000 + at}",tier="${at}"} 1`,
    ).join("\n");
  const readUsers = (count: number, ...match: readonly LabelMatcher[]) => {
    const query = queryFor({ metric: "jobs" }, { match });
    return readPages([{ atMs: 0, text: `${longest(count)}\n` }], query, "prometheus").result;
  };
  const user: LabelMatcher = { label: "user", op: "=~", value: "u.*" };
  const { steps } = sharedPatterns()("u.*");
  const most = Math.floor(labelPatternWorkMax / (995 * steps));

  test("is compared with so many characters, whatever the page has, and is refused beyond", () => {
    expect(shown(readUsers(most, user))).toBe(most);
    const result = readUsers(most + 1, user);
    expect(result).toEqual({
      reason: "refused",
      why: "its label user has too many or too long values to compare with a pattern; choose series by other labels with = first, or take a shorter pattern",
    });
    expect(shown(readUsers(most + 1, { ...user, op: "!~" }))).toBe("[refused]");
  });

  test("is not compared with what another matcher excludes", () => {
    expect(shown(readUsers(most + 1, user, { label: "tier", op: "=", value: "3" }))).toBe(1);
  });

  test("is compared once with each value", () => {
    const compared: string[] = [];
    const pattern = { steps: 1, matches: (value: string) => compared.push(value) > 0 };
    const { excluding } = labelChoice([user], () => pattern);
    for (const value of ["a", "b", "a", "a"]) excluding({ user: value });
    excluding({});
    excluding({});
    expect(compared).toEqual(["a", "b", ""]);
  });
});
