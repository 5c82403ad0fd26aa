import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");

/** Which rooms each room may import; the README's picture, as the linter must enforce it. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  metric: ["core"],
  kubernetes: ["core"],
  trigger: ["core", "metric", "kubernetes"],
  device: ["core", "metric"],
  node: ["core", "metric", "device", "telemetry", "gen"],
  telemetry: ["core", "metric", "gen"],
  fleet: ["core", "metric", "telemetry"],
  workload: ["core", "kubernetes"],
  engine: ["core", "metric"],
  answer: ["core", "metric", "trigger", "kubernetes", "fleet", "workload", "engine"],
  rpc: ["core", "gen"],
  keda: ["core", "trigger", "answer", "rpc", "gen"],
  observe: ["core", "metric", "answer"],
};
const speakGrpc = ["node", "telemetry", "rpc", "keda"];
const rooms = Object.keys(mayImport);

test("the linter refuses each import that a room may not have, and no other", () => {
  const directory = mkdtempSync(join(tmpdir(), "rooms-"));
  try {
    cpSync(join(root, "biome.json"), join(directory, "biome.json"));
    const expected = rooms.flatMap((room) => {
      const others = [...rooms, "gen", "app", "cli"].filter((other) => other !== room);
      const named = others.map((other) => `#${other}/x.ts`);
      const specifiers = [...named, "../x.ts", "@connectrpc/connect", "bun:ffi"];
      probe(directory, `src/${room}`, specifiers);
      const allowed = new Set([
        ...(mayImport[room] ?? []).map((other) => `#${other}/x.ts`),
        ...(speakGrpc.includes(room) ? ["@connectrpc/connect"] : []),
      ]);
      return specifiers
        .filter((specifier) => !allowed.has(specifier))
        .map((specifier) => `src/${room}/probe.ts ${specifier}`);
    });
    expect(findings(directory).toSorted()).toEqual(expected.toSorted());
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("only src/device/nvml may make native calls", () => {
  const directory = mkdtempSync(join(tmpdir(), "rooms-"));
  try {
    cpSync(join(root, "biome.json"), join(directory, "biome.json"));
    for (const folder of ["src/device/nvml", "src/device/mock", "src/cli"])
      probe(directory, folder, ["bun:ffi"]);
    expect(findings(directory).toSorted()).toEqual([
      "src/cli/probe.ts bun:ffi",
      "src/device/mock/probe.ts bun:ffi",
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function probe(directory: string, folder: string, specifiers: readonly string[]): void {
  mkdirSync(join(directory, folder), { recursive: true });
  const lines = specifiers.map((specifier) => `import type {} from ${JSON.stringify(specifier)};`);
  writeFileSync(join(directory, folder, "probe.ts"), `${lines.join("\n")}\n`);
}

/** Each refused import as `file specifier`. */
function findings(directory: string): string[] {
  const { stdout } = Bun.spawnSync(
    [
      join(root, "node_modules", ".bin", "biome"),
      "lint",
      "--only=style/noRestrictedImports",
      "--vcs-enabled=false",
      "--max-diagnostics=none",
      "--reporter=github",
      "src",
    ],
    { cwd: directory },
  );
  return stdout
    .toString()
    .split("\n")
    .flatMap((line) => {
      const [, file, at] = /file=([^,]+),line=(\d+)/.exec(line) ?? [];
      if (file === undefined) return [];
      const path = file.slice(file.indexOf("src/"));
      return [`${path} ${specifierAt(join(directory, path), Number(at))}`];
    });
}

function specifierAt(path: string, line: number): string | undefined {
  const { stdout } = Bun.spawnSync(["sed", "-n", `${line}p`, path]);
  return /"(.+)"/.exec(stdout.toString())?.[1];
}
