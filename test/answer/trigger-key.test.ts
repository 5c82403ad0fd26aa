import { expect, test } from "bun:test";
import { triggerKey } from "#answer/trigger-key.ts";

test("a trigger is known by its object and its metadata, in any order", () => {
  const key = (namespace: string, name: string, scalerMetadata: Record<string, string>) =>
    triggerKey({ namespace, name, scalerMetadata });
  const one = key("ml", "llm", { a: "1", b: "2" });
  expect(key("ml", "llm", { b: "2", a: "1" })).toBe(one);
  const others = [
    key("dev", "llm", { a: "1", b: "2" }),
    key("ml", "tts", { a: "1", b: "2" }),
    key("ml", "llm", { a: "2", b: "1" }),
    key("ml", "llm", { a: "1" }),
  ];
  expect(new Set([one, ...others]).size).toBe(5);
  const long = key("ml", "llm", { a: "x".repeat(4_096) });
  expect(long).toHaveLength(one.length);
});
