/**
 * What is compiled into the binary, as the bundler reports it: npm packages with version, license and
 * checksum, and the parts of Bun that its own license page lists.
 *
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { build } from "./build.ts";

const root = join(import.meta.dir, "..");

/** An npm package with code in the binary. */
export interface CompiledPackage {
  readonly name: string;
  /** Absent where the package that carries its code does not say which version it took. */
  readonly version?: string;
  /** An SPDX expression, as its package.json has it. */
  readonly license: string;
  /** As bun.lock has it, `sha512-` and base64; absent for code that came inside another package. */
  readonly integrity?: string;
  /** The package whose published file already had this one's code inside. */
  readonly inside?: string;
  /** Names of the packages whose files its own files import. */
  readonly imports: readonly string[];
  /** License and notice texts; never empty. */
  readonly texts: readonly string[];
}

export interface CompiledIn {
  readonly packages: readonly CompiledPackage[];
  /** Names of the packages that this repository's own files import. */
  readonly imports: readonly string[];
}

const Metafile = v.object({
  inputs: v.record(
    v.string(),
    v.object({
      imports: v.array(v.object({ path: v.string(), external: v.optional(v.boolean()) })),
    }),
  ),
  outputs: v.record(v.string(), v.object({ inputs: v.record(v.string(), v.unknown()) })),
});
/** Files that went into outputs, and what each imports: the part of esbuild's metafile read here. */
export type Metafile = v.InferOutput<typeof Metafile>;

/**
 * Code of other packages that the authors of one rolled into its published file, where the bundler
 * cannot see it. `jsonpath-plus` 10.4.0: `dist/index-node-esm.js` has the classes of jsep, which says
 * it is 1.4.0, and two plugins, which do not say.
 */
const inside: Readonly<
  Record<string, readonly { readonly name: string; readonly version?: string }[]>
> = {
  "jsonpath-plus": [
    { name: "jsep", version: "1.4.0" },
    { name: "@jsep-plugin/assignment" },
    { name: "@jsep-plugin/regex" },
  ],
};

/**
 * Packages that are published without a license text: where the text is instead. Their repositories
 * have the unchanged Apache-2.0 text, which is that of this repository's LICENSE.
 */
const textsElsewhere: Readonly<Record<string, (folder: string) => readonly string[]>> = {
  "@bufbuild/protobuf": (folder) => [apache(), headerOf(join(folder, "dist/esm/wire/varint.js"))],
  "@connectrpc/connect": () => [apache()],
  "@connectrpc/connect-node": () => [apache()],
};
const apache = () => readFileSync(join(root, "LICENSE"), "utf8");

/** The comment that a file starts with. */
function headerOf(path: string): string {
  const [header = ""] = /^(?:\/\/.*\n)+/.exec(readFileSync(path, "utf8")) ?? [];
  return header.replaceAll(/^\/\/ ?/gm, "");
}

/**
 * Builds the binary and the status page and reads what they are made of.
 *
 * @throws when a package is not the one of bun.lock, or has no license or license text.
 */
export async function compiledIn(): Promise<CompiledIn> {
  const folder = mkdtempSync(join(tmpdir(), "compiled-in-"));
  try {
    const metafile = join(folder, "meta.json");
    build({ outfile: join(folder, "binary"), metafile });
    const page = await Bun.build({
      entrypoints: [join(root, "src", "page", "main.ts")],
      target: "browser",
      metafile: true,
    });
    return compiledInOf([await Bun.file(metafile).json(), page.metafile], root);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param metafiles As the bundler wrote them.
 * @param folder Where `node_modules` and bun.lock are.
 */
export function compiledInOf(metafiles: readonly unknown[], folder: string): CompiledIn {
  const importsOf = new Map<string, Set<string>>();
  for (const metafile of metafiles) addImports(importsOf, v.parse(Metafile, metafile));
  const own = [...(importsOf.get("") ?? [])].toSorted();
  importsOf.delete("");
  const lock = integrities(folder);
  const packages = [...importsOf].flatMap(([name, imports]) => {
    const outer = packageAt(name, folder);
    const { version } = outer;
    const integrity = lock.get(`${name}@${version}`);
    if (integrity === undefined)
      throw new Error(
        `Cannot say what is compiled in: node_modules has ${name} ${version}, which bun.lock does not name; run bun install`,
      );
    const rolledIn = inside[name] ?? [];
    const names = [...imports, ...rolledIn.map((inner) => inner.name)].toSorted();
    return [
      { ...outer, version, integrity, imports: names },
      ...rolledIn.map((inner) => {
        const { license, texts } = packageAt(inner.name, folder);
        return { ...inner, license, texts, inside: name, imports: [] };
      }),
    ];
  });
  return { packages: packages.toSorted((a, b) => (a.name < b.name ? -1 : 1)), imports: own };
}

/** Adds which package imports which; this repository's own files are the package without a name. */
function addImports(importsOf: Map<string, Set<string>>, { inputs, outputs }: Metafile): void {
  const compiled = new Set(Object.values(outputs).flatMap((output) => Object.keys(output.inputs)));
  for (const path of compiled) {
    const name = packageOf(path);
    const imports = importsOf.get(name) ?? new Set();
    importsOf.set(name, imports);
    for (const { path: imported, external } of inputs[path]?.imports ?? []) {
      const other = packageOf(imported);
      if (external !== true && compiled.has(imported) && other !== name) imports.add(other);
    }
  }
}

/** The package that a file is of; empty for a file that is not below `node_modules`. */
export function packageOf(path: string): string {
  const [, name = ""] = /.*(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
  return name;
}

const PackageJson = v.object({ version: v.string(), license: v.optional(v.string()) });

function packageAt(name: string, folder: string) {
  const path = join(folder, "node_modules", name);
  const { version, license } = v.parse(
    PackageJson,
    JSON.parse(readFileSync(join(path, "package.json"), "utf8")),
  );
  if (license === undefined)
    throw new Error(`Cannot compile in ${name} ${version}: its package.json names no license`);
  const texts = textsElsewhere[name]?.(path) ?? textsIn(path);
  if (texts.length === 0 || texts.some((text) => text.trim() === ""))
    throw new Error(
      `Cannot compile in ${name} ${version}: it brings no license text; find the text and name it in tools/compiled-in.ts`,
    );
  return { name, version, license, texts };
}

function textsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => /^(?:un)?licen[cs]e|^copying|^notice/i.test(file))
    .toSorted()
    .map((file) => readFileSync(join(folder, file), "utf8"));
}

const Lock = v.object({ packages: v.record(v.string(), v.array(v.unknown())) });

/** Integrity of each `name@version` that bun.lock has. */
function integrities(folder: string): ReadonlyMap<string, string> {
  const lock = v.parse(Lock, Bun.JSONC.parse(readFileSync(join(folder, "bun.lock"), "utf8")));
  return new Map(
    Object.values(lock.packages).map((entry) => [String(entry[0]), String(entry.at(-1))]),
  );
}
