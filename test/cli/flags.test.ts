import { describe, expect, test } from "bun:test";
import { parseArguments } from "#cli/arguments.ts";
import { commands } from "#cli/commands/all.ts";
import { Fault } from "#core/fault.ts";

const { flags } = commands.serve;
const parsed = (...args: string[]) => parseArguments("serve", commands.serve, args).flags;
type Name = keyof typeof flags;

describe("values that a flag takes", () => {
  test.each<[Name, string, unknown]>([
    ["role", "agent", "agent"],
    ["bind", "localhost", "localhost"],
    ["bind", "::1", "::1"],
    ["port", "0", 0],
    ["port", "65535", 65_535],
    ["sample-interval", "100ms", 100],
    ["sample-interval", "1m", 60_000],
    ["device-watchdog", "1h", 3_600_000],
    ["connection-age", "24h", 86_400_000],
    ["max-streams", "10000", 10_000],
    ["mock", "a b.yaml", "a b.yaml"],
    ["engine-token-dir", "/tokens", "/tokens"],
    ["engine-ca-dir", "/authorities", "/authorities"],
    ["node-name", "node-1.example", "node-1.example"],
    ["node-name", "a", "a"],
    ["node-name", "a".repeat(253), "a".repeat(253)],
    ["agents", "a:1", "a:1"],
    ["agents", "a:1,[::1]:22", "a:1,[::1]:22"],
    ["agents", "dns:///agents:6000", "dns:///agents:6000"],
    ["allow-scope", "cluster,workload", ["workload", "cluster"]],
    ["allow-endpoint", "gateway", ["gateway"]],
    ["allow-endpoint", "*.llm.example.com,10.0.0.7:8000", ["*.llm.example.com", "10.0.0.7:8000"]],
    ["allow-endpoint", "[fd00::7]:*,fd00::8", ["[fd00::7]:*", "fd00::8"]],
  ])("--%s %s", (name, text, value) => {
    expect<unknown>(parsed(`--${name}`, text)[name]).toEqual(value);
    expect<unknown>(parsed(`--${name}=${text}`)[name]).toEqual(value);
  });
});

describe("values that a flag refuses", () => {
  test.each<[Name, ...string[]]>([
    ["role", "Agent", "all "],
    ["bind", "here", "127.0.0.1:80", "localhost."],
    ["port", "65536", "-1", "1.5", "0x10", " 1", "1 ", "123456"],
    ["sample-interval", "99ms", "61s", "1", "s"],
    ["device-watchdog", "999ms", "61m"],
    ["connection-age", "999ms", "25h"],
    ["max-streams", "0", "-1", "1.5", "10001", "many"],
    ["no-reflection", "true", "false"],
    ["mock", ""],
    ["engine-token-dir", ""],
    ["engine-ca-dir", ""],
    ["node-name", "-a", "a-", "A", "a_b", "a..b", "a".repeat(254)],
    ["agents", "a", "a:1,", "a :1", "a:b", "x a:1"],
    ["allow-scope", "", "pod", "node,", "node node", "node,node", "Node"],
    ["allow-endpoint", "", "*", "*.*.a", "a,", "a b", "http://a", "a/b", "a:port", "-a"],
  ])("--%s", (name, ...texts) => {
    for (const text of texts)
      expect(() => parsed(`--${name}=${text}`)).toThrow(
        `Cannot run serve: --${name} ${flags[name].rule}, got ${JSON.stringify(text)}`,
      );
  });
});

test("a flag that takes no value is there or not", () => {
  const { "no-reflection": present, role } = parsed("--no-reflection", "--role", "agent");
  expect({ present, role }).toEqual({ present: true, role: "agent" });
  expect(parsed()["no-reflection"]).toBeUndefined();
});

test("a flag that is left out has its default, or none", () => {
  const { port, agents, "connection-age": ageMs } = parsed();
  expect({ port, agents, ageMs }).toEqual({ port: 6000, agents: undefined, ageMs: 600_000 });
});

test("every default keeps the flag's own rule", () => {
  for (const { flags: table } of Object.values(commands))
    for (const { fallback, parse } of Object.values(table))
      if (fallback !== undefined) expect(parse(fallback)).toBeDefined();
});

test.each([
  [
    ["--prot", "1"],
    /^Cannot run serve: unknown flag --prot; did you mean --port\? allowed: --role --bind --port /,
  ],
  [["--zzzzzzzz", "1"], /^Cannot run serve: unknown flag --zzzzzzzz; allowed: --role /],
  [["-x"], /^Cannot run serve: unknown flag -x; /],
  [["--port", "1", "--port", "1"], /^Cannot run serve: --port is given twice$/],
  [["--mock"], /^Cannot run serve: --mock must be the path of a file, got nothing$/],
  [["now"], /^Cannot run serve: unexpected argument "now"$/],
  [["--"], /^Cannot run serve: unexpected argument "--"$/],
])("%j breaks a rule of the command line", (args, message) => {
  let fault: unknown;
  try {
    parsed(...args);
  } catch (error) {
    fault = error;
  }
  expect(fault).toBeInstanceOf(Fault);
  expect((fault as Fault).message).toMatch(message);
  expect(fault).toMatchObject({
    code: "usage-invalid",
    facts: { problems: [(fault as Fault).message.replace("Cannot run serve: ", "")] },
  });
});
