import { expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");

/** Which rooms each room may import, as the table of docs/architecture.md says. */
const document = readFileSync(join(root, "docs", "architecture.md"), "utf8");
const rows = [...document.matchAll(/^\| `([a-z]+)` +\|[^|]*\| ([^|]*?) +\|$/gm)];
const rooms = rows.map(([, room = ""]) => room);
const mayImport = new Map(rows.map(([, room = "", rule = ""]) => [room, roomsIn(rule)]));
const speakGrpc = ["node", "telemetry", "rpc", "keda"];

/** `core, gen`, `nothing` or `every room but cli`. */
function roomsIn(rule: string): readonly string[] {
  if (rule === "nothing") return [];
  const [every, except] = /^every room(?: but (.+))?$/.exec(rule) ?? [];
  if (every === undefined) return rule.split(", ");
  return [...rooms, "gen"].filter((room) => room !== except);
}

test("the table has a row for each folder of src, and no other", () => {
  const folders = readdirSync(join(root, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(rooms.toSorted()).toEqual(folders.toSorted());
});

test("the linter refuses each import that a room may not have, and no other", () => {
  const directory = mkdtempSync(join(tmpdir(), "rooms-"));
  try {
    cpSync(join(root, "biome.json"), join(directory, "biome.json"));
    const expected = rooms.flatMap((room) => {
      const others = [...rooms, "gen"].filter((other) => other !== room);
      const named = others.map((other) => `#${other}/x.ts`);
      const specifiers = [...named, "../x.ts", "@connectrpc/connect", "bun:ffi"];
      probe(directory, `src/${room}`, specifiers);
      const allowed = new Set([
        ...(mayImport.get(room) ?? []).map((other) => `#${other}/x.ts`),
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

test("only src/device/exporter may read pages as engines' are read, and no more of that room", () => {
  const directory = mkdtempSync(join(tmpdir(), "rooms-"));
  try {
    cpSync(join(root, "biome.json"), join(directory, "biome.json"));
    const others = [
      "#engine/signal/query.ts",
      "#engine/scrape/scraper.ts",
      "#node/x.ts",
      "bun:ffi",
    ];
    const pages = ["#engine/page/x.ts", "#engine/scrape/http.ts"];
    for (const folder of ["src/device/exporter", "src/device/amdgpu"])
      probe(directory, folder, [...pages, ...others]);
    expect(findings(directory).toSorted()).toEqual(
      [
        ...[...pages, ...others].map((one) => `src/device/amdgpu/probe.ts ${one}`),
        ...others.map((one) => `src/device/exporter/probe.ts ${one}`),
      ].toSorted(),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("each file that a room's rule leaves out still needs it", () => {
  const { overrides } = JSON.parse(readFileSync(join(root, "biome.json"), "utf8"));
  const left: readonly string[] = overrides
    .flatMap(({ includes }: { readonly includes: readonly string[] }) => includes)
    .filter((pattern: string) => /^!.*\.ts$/.test(pattern));
  const needing = left.filter((pattern) =>
    readFileSync(join(root, pattern.slice(1)), "utf8").includes('from "#cli/'),
  );
  expect(needing).toEqual([...left]);
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
