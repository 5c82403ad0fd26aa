import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");
const telemetry = "proto/gpuscaler/v1/node_telemetry.proto";
let folder = "";
let clone = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "breaking-"));
  clone = join(folder, "clone");
  cpSync(join(root, "proto"), join(clone, "proto"), { recursive: true });
  cpSync(join(root, "buf.yaml"), join(clone, "buf.yaml"));
  git("init", "--quiet");
  commit("Add the contracts");
});
afterEach(() => rmSync(folder, { recursive: true }));

function git(...args: readonly string[]): void {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
  const { exitCode, stderr } = Bun.spawnSync(["git", ...identity, ...args], { cwd: clone });
  if (exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
}

function commit(message: string): void {
  git("add", "--all");
  git("commit", "--quiet", "--message", message, "--no-verify");
}

function edit(change: (text: string) => string): void {
  const path = join(clone, telemetry);
  const text = readFileSync(path, "utf8");
  const changed = change(text);
  if (changed === text) throw new Error("The change changes nothing");
  writeFileSync(path, changed);
}
const removeField = () => edit((text) => text.replace(/\n {2}\w+ \w+ = 2;/, ""));
const addMessage = () => edit((text) => `${text}\nmessage Added {\n  string name = 1;\n}\n`);

function check(directory = clone): { passed: boolean; output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [process.execPath, join(root, "tools", "breaking.ts"), directory],
    { cwd: root },
  );
  return { passed: exitCode === 0, output: `${stdout}${stderr}` };
}

test("a removed field fails before it is committed, and after", () => {
  removeField();
  const before = check();
  expect(before.output).toContain("with HEAD");
  expect(before.output).toContain('Previously present field "2"');
  expect(before.passed).toBe(false);
  commit("Remove a field");
  expect(check().passed).toBe(false);
  // A later commit does not hide it.
  writeFileSync(join(clone, "README.md"), "");
  commit("Write about it");
  expect(check().passed).toBe(false);
});

test.each<[what: string, change: (text: string) => string, rule: string]>([
  [
    "a call that is gone",
    (text) => text.replace(/\n {2}rpc Watch\(.*\);/, ""),
    'Previously present RPC "Watch"',
  ],
  [
    "a field that is gone, although its number is kept",
    (text) => text.replace("\n  uint32 session = 3;", '\n  reserved 3;\n  reserved "session";'),
    'Previously present field "3"',
  ],
  [
    "a number of a reading with another meaning",
    (text) =>
      text
        .replace("READING_UTILIZATION_PERCENT = 1;", "READING_X = 1;")
        .replace("READING_UTILIZATION_PERCENT", "READING_X"),
    "READING_X",
  ],
  [
    "a field that was perhaps absent and is 0 now",
    (text) => text.replace("optional uint32 holders_age_ms", "uint32 holders_age_ms"),
    "cardinality",
  ],
  [
    "a type that an older receiver reads as another number",
    (text) => text.replace("repeated double values = 5", "repeated fixed64 values = 5"),
    "type",
  ],
])("%s fails", (_what, change, rule) => {
  edit(change);
  const { passed, output } = check();
  expect(output).toContain(rule);
  expect(passed).toBe(false);
});

test("what is added passes", () => {
  addMessage();
  expect(check()).toMatchObject({ passed: true });
  commit("Add a message");
  expect(check()).toMatchObject({ passed: true });
});

test("the last release is compared with, whatever changed since", () => {
  git("tag", "v0.1.0");
  removeField();
  commit("Remove a field");
  addMessage();
  commit("Add a message");
  const { passed, output } = check();
  expect(output).toContain("with v0.1.0");
  expect(passed).toBe(false);
});

test("a shallow clone says that it has nothing to compare with, and refuses a change of its own", () => {
  addMessage();
  commit("Add a message");
  const shallow = join(folder, "shallow");
  git("clone", "--quiet", "--depth=1", `file://${clone}`, shallow);
  expect(check(shallow)).toEqual({
    passed: true,
    output: "proto/ is as in HEAD, and this clone has no earlier version to compare with\n",
  });
  clone = shallow;
  removeField();
  expect(check().passed).toBe(false);
});
