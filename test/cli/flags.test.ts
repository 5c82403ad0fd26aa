import { describe, expect, test } from "bun:test";
import { commands } from "#cli/commands.ts";
import { parseFlags } from "#cli/flags.ts";

const hostsOf = (text: string) =>
  parseFlags("serve", commands.serve.flags, ["--allow-endpoint", text])["allow-endpoint"];

describe("--allow-endpoint", () => {
  test.each<[string, readonly string[]]>([
    ["gateway", ["gateway"]],
    ["*.llm.example.com,10.0.0.7:8000", ["*.llm.example.com", "10.0.0.7:8000"]],
    ["[fd00::7]:*,fd00::8", ["[fd00::7]:*", "fd00::8"]],
  ])("takes %s", (text, hosts) => {
    expect(hostsOf(text)).toEqual(hosts);
  });

  test.each(["", "*", "*.*.a", "a,", "a b", "http://a", "a/b", "a:port", "-a"])(
    "refuses %j",
    (text) => {
      expect(() => hostsOf(text)).toThrow("--allow-endpoint must be HOST, HOST:PORT");
    },
  );
});
