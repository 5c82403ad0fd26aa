/**
 * The parts of Bun that are in every binary it compiles, as Bun's own license page lists them. The page
 * comes with Bun's type declarations; versions are what the Bun that runs this says of itself.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");

/** A library that Bun links statically. */
export interface BunPart {
  readonly name: string;
  /** As Bun puts it where that is more than the name: "A fork of uWebsockets". */
  readonly description?: string;
  readonly url: string;
  /** A release or a commit; absent where Bun does not say. */
  readonly version?: string;
  /** Bun's words for the license, and the page that they link to. */
  readonly license: { readonly words: string; readonly url?: string };
}

/** What Bun's license page says, in Markdown and without its front matter. */
export function licensePage(): string {
  const path = join(root, "node_modules", "bun-types", "docs", "project", "license.mdx");
  return readFileSync(path, "utf8").replace(/^---\n[\s\S]*?\n---\n+/, "");
}

/** Commit of oven-sh/WebKit that JavaScriptCore was built from. */
export const webkitCommit = versionOf("webkit");

/**
 * The rows of a license page's table of linked libraries, without those for other systems.
 *
 * @throws when the page has no such table.
 */
export function linkedLibraries(page: string): readonly BunPart[] {
  const [, section = ""] = /^## Linked libraries\n([\s\S]*?)(?=^## )/m.exec(page) ?? [];
  const rows = [...section.matchAll(/^\| (.*\]\(.*?) *\| *(.*?) *\|$/gm)];
  if (rows.length === 0)
    throw new Error("Cannot read Bun's license page: it has no table below Linked libraries");
  return rows
    .map(([, library = "", license = ""]) => partOf(library, license))
    .filter(({ description }) => !description?.endsWith("(on Windows)"));
}

function partOf(library: string, license: string): BunPart {
  const { words: name, url } = linkIn(library);
  const description = withoutLinks(library);
  const version = versionNames[name] === undefined ? undefined : versionOf(versionNames[name]);
  const licenseUrl = linkIn(license).url;
  return {
    name,
    ...(description !== name && { description }),
    url,
    ...(version !== undefined && { version }),
    license: { words: withoutLinks(license), ...(licenseUrl !== "" && { url: licenseUrl }) },
  };
}

const link = /\[`?([^\]`]*)`?\]\(([^)]*)\)/;
function linkIn(cell: string) {
  const [, words = "", url = ""] = link.exec(cell) ?? [];
  return { words, url };
}
const withoutLinks = (cell: string) => cell.replace(link, "$1");

/** Libraries of the page that `process.versions` of Bun knows, by the name that it has there. */
const versionNames: Readonly<Record<string, string>> = {
  boringssl: "boringssl",
  libarchive: "libarchive",
  "lol-html": "lolhtml",
  "ls-hpack": "lshpack",
  mimalloc: "mimalloc",
  picohttp: "picohttpparser",
  zstd: "zstd",
  tinycc: "tinycc",
  "zlib-ng": "zlib",
  "c-ares": "ares",
  libicu: "icu",
  libdeflate: "libdeflate",
  sqlite: "sqlite",
};

function versionOf(name: string): string {
  const version = process.versions[name];
  if (version === undefined)
    throw new Error(`Cannot say which ${name} is in Bun ${Bun.version}: process.versions lacks it`);
  return version;
}
