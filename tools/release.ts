/**
 * Makes the files of a release in `dist/release/`: both binaries, the chart's package, the list of what
 * is compiled in, the license texts, and the checksums of all. `bun tools/release.ts --tag v1.2.3`
 * refuses what must not be published, and writes the release's notes. Needs `helm` in PATH, or HELM.
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json" with { type: "json" };
import { build } from "./build.ts";
import { compiledIn } from "./compiled-in.ts";
import { chartPath } from "./render-manifests.ts";
import { sbom } from "./sbom.ts";

const root = join(import.meta.dir, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Why a commit must not be published under a tag, one sentence each with what to do. */
export function releaseProblems(tag: string, containerfile: string): readonly string[] {
  const digests = [...containerfile.matchAll(/^ARG (\w+_DIGEST)=(.*)$/gm)];
  const unpinned = digests.filter(([, , digest = ""]) => !/^@sha256:[0-9a-f]{64}$/.test(digest));
  return [
    ...(tag === `v${version}`
      ? []
      : [`the tag must be v and the version of package.json, ${version}, got ${tag}`]),
    ...unpinned.map(
      ([, name]) => `${name} of Containerfile must be a digest; its comments say how to get it`,
    ),
  ];
}

/**
 * The changelog's section of a version, without its heading.
 *
 * @throws when there is none, or nothing in it.
 */
export function notesOf(changelog: string, ofVersion: string): string {
  const sections = changelog.split(/^## /m);
  const section = sections.find((text) => text.split(/[\s,]/)[0] === ofVersion);
  const notes = section?.replace(/^.*\n/, "").trim() ?? "";
  if (notes === "")
    throw new Error(
      `Cannot write the notes: CHANGELOG.md must have a heading "## ${ofVersion}" with lines below it; rename its Unreleased`,
    );
  return notes;
}

/** Checksums of every file of a folder, as `sha256sum --check` reads them. */
export function checksumsOf(folder: string): string {
  return readdirSync(folder)
    .toSorted()
    .map((file) => {
      const hash = createHash("sha256").update(readFileSync(join(folder, file)));
      return `${hash.digest("hex")}  ${file}\n`;
    })
    .join("");
}

/** The time of the commit, for a list of what is compiled in that says the same whenever it is made. */
function commitTime(): string | undefined {
  const git = Bun.spawnSync(["git", "log", "-1", "--format=%ct"], { cwd: root });
  return git.exitCode === 0 ? git.stdout.toString().trim() : undefined;
}

function packageChart(folder: string): void {
  const helm = [process.env["HELM"] ?? "helm", "package", chartPath, "--destination", folder];
  const { exitCode, stderr } = Bun.spawnSync(helm);
  if (exitCode !== 0) throw new Error(`Cannot package the chart:\n${stderr}`);
}

if (import.meta.main) {
  const { tag } = parseArgs({ options: { tag: { type: "string" } } }).values;
  if (tag !== undefined) {
    const problems = releaseProblems(tag, read("Containerfile"));
    if (problems.length > 0) throw new Error(`Cannot release ${tag}: ${problems.join("; ")}`);
    mkdirSync(join(root, "dist"), { recursive: true });
    writeFileSync(join(root, "dist", "notes.md"), `${notesOf(read("CHANGELOG.md"), version)}\n`);
  }
  const folder = join(root, "dist", "release");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const arch of ["amd64", "arm64"] as const)
    build({ arch, outfile: join(folder, `keda-gpu-scaler-linux-${arch}`) });
  packageChart(folder);
  const list = sbom(await compiledIn(), process.env["SOURCE_DATE_EPOCH"] ?? commitTime());
  writeFileSync(join(folder, "sbom.cdx.json"), `${JSON.stringify(list, undefined, 2)}\n`);
  for (const file of ["LICENSE", "THIRD_PARTY_LICENSES"])
    copyFileSync(join(root, file), join(folder, file));
  const checksums = checksumsOf(folder);
  writeFileSync(join(folder, "SHA256SUMS"), checksums);
  console.log(checksums.trimEnd());
}
