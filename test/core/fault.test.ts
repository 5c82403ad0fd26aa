import { describe, expect, test } from "bun:test";
import { Fault, messageOf, unlessFault } from "#core/fault.ts";

test.each([
  [new Error("bad indentation (3:5)\n\n 1 | a\n"), "bad indentation (3:5) 1 | a"],
  ["a\r\n\tb\u2028c\u0000", "a b c"],
  ["plain", "plain"],
])("what %p says is one line", (error, message) => expect(messageOf(error)).toBe(message));

test("a fault's message is one line, whatever is quoted in it", () => {
  const fault = new Fault("stopping", "Cannot answer a\nb: the process stops", {});
  expect(fault.message).toBe("Cannot answer a b: the process stops");
});

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
