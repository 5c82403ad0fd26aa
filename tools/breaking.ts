/**
 * Fails when `proto/` breaks those who speak it as it was: at the last release or, while there is
 * none, before it last changed. What counts as a break is in `buf.yaml`.
 *
 * A clone without that history has nothing to compare with, which is said and is no failure.
 * `bun tools/breaking.ts DIRECTORY` checks another checkout.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const repository = join(import.meta.dir, "..");
const buf = join(repository, "node_modules", ".bin", "buf");
const root = Bun.argv[2] ?? repository;

const base = baseOf();
if (base === undefined) {
  console.log("proto/ is as in HEAD, and this clone has no earlier version to compare with");
} else {
  console.log(`comparing proto/ with ${base}`);
  compareWith(base);
}

/** The commit to compare with; undefined where the clone does not have it. */
function baseOf(): string | undefined {
  const tag = git("describe", "--tags", "--abbrev=0", "--match=v*");
  if (tag !== undefined) return tag;
  // Undefined without git, as in a source archive.
  const changes = git("status", "--porcelain", "--", "proto");
  if (changes !== undefined && changes !== "") return "HEAD";
  const lastChange = git("log", "-1", "--format=%H", "--", "proto");
  if (lastChange === undefined || lastChange === "") return undefined;
  // The commit at which a shallow clone ends has no parent, and seems to have added every file.
  const before = git("rev-parse", "--verify", "--quiet", `${lastChange}^`);
  const hasProto = before !== undefined && git("cat-file", "-e", `${before}:proto`) !== undefined;
  return hasProto ? before : undefined;
}

/** What git prints; undefined when it fails. */
function git(...args: readonly string[]): string | undefined {
  const { exitCode, stdout } = Bun.spawnSync(["git", ...args], { cwd: root, stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : undefined;
}

function compareWith(commit: string): void {
  const earlier = mkdtempSync(join(tmpdir(), "proto-"));
  try {
    // Judged by the rules of today.
    cpSync(join(root, "buf.yaml"), join(earlier, "buf.yaml"));
    const archive = Bun.spawnSync(["git", "archive", commit, "proto"], { cwd: root });
    const unpacked = Bun.spawnSync(["tar", "-x", "-C", earlier], { stdin: archive.stdout });
    if (archive.exitCode !== 0 || unpacked.exitCode !== 0)
      throw new Error(`Cannot read proto/ of ${commit}: ${archive.stderr}${unpacked.stderr}`);
    const { exitCode } = Bun.spawnSync([buf, "breaking", "--against", earlier], {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (exitCode !== 0) {
      console.error(`Not ok: proto/ breaks who speaks it as of ${commit}; see the lines above`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(earlier, { recursive: true });
  }
}
