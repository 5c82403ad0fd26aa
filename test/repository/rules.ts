/**
 * Every rule that the repository's own code keeps, and no linter knows or knows exactly.
 *
 * @module
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fixedNumbers } from "./constants.ts";
import { longFunctions, looseLimits, repeatedTypes, retired } from "./source-rules.ts";
import { type Finding, sourceFiles } from "./sources.ts";

const root = join(import.meta.dir, "..", "..");
const biome = join(root, "node_modules", ".bin", "biome");
const functionLinesMax = 70;

const sources = () => sourceFiles(root, "src/**/*.ts");

/** Each rule's findings in the repository as it is. */
export const rules = {
  "a type name stands in one file": () => repeatedTypes(sources()),
  "no identifier uses a retired word": () => retired(sources()),
  "limits stand in src/core/limits.ts": () =>
    looseLimits(sources(), new Set(Object.keys(fixedNumbers))),
  "a function fits on a screen": () =>
    longFunctions(sourceFiles(root, "{src,tools,bench}/**/*.{ts,mjs}"), functionLinesMax),
  "files import each other one way": () => importCycles(root),
} as const satisfies Record<string, () => readonly Finding[]>;

/** Imports that are part of a cycle of files, imports of types included, as Biome sees them. */
export function importCycles(folder: string): readonly Finding[] {
  const copy = mkdtempSync(join(tmpdir(), "cycles-"));
  try {
    cpSync(join(folder, "src"), join(copy, "src"), { recursive: true });
    cpSync(join(root, "package.json"), join(copy, "package.json"));
    cpSync(join(root, "biome.json"), join(copy, "biome.json"));
    const { stdout } = Bun.spawnSync(
      [
        biome,
        "lint",
        "--only=suspicious/noImportCycles",
        "--vcs-enabled=false",
        "--max-diagnostics=none",
        "--reporter=github",
        "src",
      ],
      { cwd: copy },
    );
    return [...stdout.toString().matchAll(/file=([^,]*?)(src\/[^,]+),line=(\d+)/g)].map(
      ([, , path = "", line]) => ({ key: path, where: `${path}:${line}` }),
    );
  } finally {
    rmSync(copy, { recursive: true });
  }
}
