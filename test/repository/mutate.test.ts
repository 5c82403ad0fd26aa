import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");
const code = `export const larger = (a: number, b: number): number => (a > b ? a : b);
`;
const tests = `import { expect, test } from "bun:test";
import { larger } from "../../src/tiny/larger.ts";

test("of two numbers", () => {
  expect([larger(1, 2), larger(2, 1)]).toEqual([2, 2]);
});
`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "mutate-test-"));
  const write = (path: string, text: string) => {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  write("src/tiny/larger.ts", code);
  write("test/tiny/larger.test.ts", tests);
  write("src/bare/larger.ts", code);
  cpSync(join(root, "tsconfig.json"), join(directory, "tsconfig.json"));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("a change that the tests notice is killed, and one that they do not survives", async () => {
  const { output, exitCode } = await mutate("tiny", "--at", "src/tiny/larger.ts:1");
  // The larger of two equal numbers is either, so `>=` cannot be noticed; `<=` and both constant
  // conditions can.
  expect(output.split("\n").slice(1)).toEqual([
    "survived (operator) src/tiny/larger.ts:1",
    "  - export const larger = (a: number, b: number): number => (a > b ? a : b);",
    "  + export const larger = (a: number, b: number): number => (a >= b ? a : b);",
    "0 more did not type-check; 0 ran out of time",
    "3 of 4 killed (75 %)",
    "",
  ]);
  expect(exitCode).toBe(0);
  expect(readFileSync(join(directory, "src/tiny/larger.ts"), "utf8")).toBe(code);
}, 60_000);

test("a room without tests is refused", async () => {
  const { output, exitCode } = await mutate("bare");
  expect(output).toContain("Cannot mutate bare: no tests");
  expect(exitCode).toBe(1);
});

async function mutate(...args: string[]) {
  const child = Bun.spawn([process.execPath, join(root, "tools", "mutate.ts"), ...args], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const outputs = [child.stdout, child.stderr].map((stream) => new Response(stream).text());
  return { output: (await Promise.all(outputs)).join(""), exitCode: await child.exited };
}
