import { describe, expect, test } from "bun:test";
import { Fault, unlessFault } from "#core/fault.ts";

describe("unlessFault()", () => {
  test("is what the function returns", () => {
    expect(unlessFault(() => 5)).toBe(5);
  });
  test("is nothing where a fault is thrown", () => {
    const stopping = () => {
      throw new Fault("stopping", "Cannot answer: the process stops; ask another", {});
    };
    expect(unlessFault(stopping)).toBeUndefined();
  });
  test("throws on what is no fault, for that is a bug", () => {
    const broken = () => {
      throw new TypeError("broken");
    };
    expect(() => unlessFault(broken)).toThrow("broken");
  });
});
