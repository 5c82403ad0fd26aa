import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");

test("docs/saving-money.md has the figures that its commands give", () => {
  const command = [process.execPath, join(root, "tools", "figures.ts"), "docs/saving-money.md"];
  const { exitCode, stderr } = Bun.spawnSync([...command, "--check"], { cwd: root });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
}, 300_000);
