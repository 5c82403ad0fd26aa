/** What keeps a commit from being released, and what a release says of itself. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { checksumsOf, notesOf, releaseProblems } from "../../tools/release.ts";

const digest = `@sha256:${"0".repeat(64)}`;
const pinned = `ARG BUN_DIGEST=${digest}\nARG BASE_DIGEST=${digest}\n`;

describe("a release", () => {
  test("of the version, with pinned images, may be", () => {
    expect(releaseProblems(`v${version}`, pinned)).toEqual([]);
  });

  test.each([["v99.0.0"], [version], ["v"]])("under the tag %s is refused", (tag) => {
    expect(releaseProblems(tag, pinned)).toEqual([
      `the tag must be v and the version of package.json, ${version}, got ${tag}`,
    ]);
  });

  test("with an image that may move is refused", () => {
    const moving = `ARG BUN_DIGEST=\nARG BASE_DIGEST=${digest}\n`;
    expect(releaseProblems(`v${version}`, moving)).toEqual([
      "BUN_DIGEST of Containerfile must be a digest; its comments say how to get it",
    ]);
  });
});

describe("notes", () => {
  const changelog =
    "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0, 2026-11-24\n\n- [CHANGE] a\n- b\n\n## 1.1.0\n\n";

  test("are the version's section", () => {
    expect(notesOf(changelog, "1.2.0")).toBe("- [CHANGE] a\n- b");
  });

  test.each(["1.1.0", "1.2", "2.0.0"])("of %s, which has none, are refused", (missing) => {
    expect(() => notesOf(changelog, missing)).toThrow(`a heading "## ${missing}" with lines below`);
  });
});

test("sha256sum accepts the checksums, and refuses them for another file", () => {
  const folder = mkdtempSync(join(tmpdir(), "release-"));
  try {
    writeFileSync(join(folder, "b"), "two");
    writeFileSync(join(folder, "a"), "one");
    writeFileSync(join(folder, "SHA256SUMS"), checksumsOf(folder));
    const check = () => Bun.spawnSync(["sha256sum", "--check", "SHA256SUMS"], { cwd: folder });
    expect(check().stdout.toString()).toBe("a: OK\nb: OK\n");
    writeFileSync(join(folder, "b"), "three");
    expect(check().exitCode).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
