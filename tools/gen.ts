/**
 * Generates `gen/` from `proto/`. With `--check` it changes nothing and fails when `gen/` is not
 * what the protocol files give.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");

if (Bun.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "gen-"));
  try {
    generate(["--output", fresh]);
    const { exitCode } = Bun.spawnSync(["diff", "-r", join(fresh, "gen"), join(root, "gen")], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (exitCode !== 0) throw new Error("gen/ is not current: run bun run gen");
  } finally {
    rmSync(fresh, { recursive: true });
  }
} else {
  generate([]);
}

function generate(args: readonly string[]): void {
  const bin = join(root, "node_modules", ".bin");
  const { exitCode } = Bun.spawnSync([join(bin, "buf"), "generate", ...args], {
    cwd: root,
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) throw new Error("Cannot generate gen/: see the lines above");
}
