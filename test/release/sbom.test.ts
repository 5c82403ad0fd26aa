/** The list of what is compiled in, against CycloneDX's own schema and against the bundle. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv";
import { linkedLibraries } from "../../tools/bun-parts.ts";
import { type CompiledIn, compiledIn, packageOf } from "../../tools/compiled-in.ts";
import { sbom } from "../../tools/sbom.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "..", "..");
let compiled: CompiledIn;
let document: ReturnType<typeof sbom>;

beforeAll(async () => {
  compiled = await compiledIn();
  document = sbom(compiled, undefined);
});

/** Breaches of the schema that the CycloneDX project publishes, as its own library carries it. */
function breaches(value: unknown): readonly string[] {
  const schemas = join(root, "node_modules", "@cyclonedx", "cyclonedx-library", "res", "schema");
  const schema = (name: string) =>
    JSON.parse(readFileSync(join(schemas, `${name}.SNAPSHOT.schema.json`), "utf8"));
  const isUrl = (text: string) => URL.canParse(text, "https://relative.example");
  const ajv = new Ajv({
    strict: false,
    formats: {
      "date-time": (text) => !Number.isNaN(Date.parse(text)),
      "iri-reference": isUrl,
      // No address is written.
      "idn-email": true,
    },
  });
  for (const name of ["spdx", "jsf-0.82"])
    ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  const validate = ajv.compile(schema("bom-1.6"));
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

test("it is a CycloneDX 1.6 document", () => {
  expect(breaches(document)).toEqual([]);
  expect(breaches(sbom(compiled, "1700000000"))).toEqual([]);
});

test("the schema refuses what is none", () => {
  const [first] = document.components;
  expect(breaches({ ...document, specVersion: 1.6 })).not.toEqual([]);
  expect(breaches({ ...document, components: [{ ...first, type: "package" }] })).not.toEqual([]);
  const license = [{ license: { id: "Apache 2" } }];
  expect(breaches({ ...document, components: [{ ...first, licenses: license }] })).not.toEqual([]);
  expect(breaches({ ...document, components: [first, first] })).not.toEqual([]);
});

test("it lists the packages whose code the bundler's source maps name, and no other", async () => {
  const listed = compiled.packages.filter(({ inside }) => inside === undefined);
  const mapped = [
    ...(await sourcesOf("bun", ["src/main.ts", "src/device/worker.ts"])),
    ...(await sourcesOf("browser", ["src/page/main.ts"])),
  ].map(packageOf);
  const expected = new Set(mapped.filter((name) => name !== ""));
  expect(listed.map(({ name }) => name)).toEqual([...expected].toSorted());
});

async function sourcesOf(target: "bun" | "browser", entries: readonly string[]) {
  const { outputs } = await Bun.build({
    entrypoints: entries.map((entry) => join(root, entry)),
    target,
    format: "esm",
    sourcemap: "external",
  });
  const maps = outputs.filter(({ kind }) => kind === "sourcemap");
  const texts = await Promise.all(maps.map((map) => map.json()));
  return texts.flatMap(({ sources }: { sources: readonly string[] }) => sources);
}

test("what came inside another package's file is in that file", async () => {
  const inner = compiled.packages.filter(({ inside }) => inside !== undefined);
  expect(inner.map(({ name }) => name)).toEqual([
    "@jsep-plugin/assignment",
    "@jsep-plugin/regex",
    "jsep",
  ]);
  const file = join(root, "node_modules", "jsonpath-plus", "dist", "index-node-esm.js");
  const text = await Bun.file(file).text();
  const version = inner.find(({ name }) => name === "jsep")?.version;
  expect(text).toContain(`return '${version}';`);
  expect(text).toContain("jsep.plugins.register(");
});

test("each package has the version and the checksum of bun.lock", () => {
  const lock = readFileSync(join(root, "bun.lock"), "utf8");
  for (const { name, version, hashes } of document.components.filter(isPackage)) {
    const base64 = Buffer.from(hashes?.[0]?.content ?? "", "hex").toString("base64");
    expect(lock).toMatch(new RegExp(`\\["${name}@${version}", .*"sha512-${escaped(base64)}"\\]`));
  }
  expect(document.components.filter(isPackage).length).toBeGreaterThan(20);
});

type Component = (typeof document)["components"][number];
const isPackage = (
  component: Component,
): component is Extract<Component, { hashes?: unknown }> & { name: string; version: string } =>
  "hashes" in component;
const escaped = (text: string) => text.replaceAll(/[+/=]/g, String.raw`\$&`);

test("everything in it is reached from the program, and nothing else is named", () => {
  const refs = document.components.flatMap((component) => [
    component["bom-ref"],
    ...("components" in component ? component.components.map((part) => part["bom-ref"]) : []),
  ]);
  const edges = new Map(document.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const reached = new Set<string>([document.metadata.component["bom-ref"]]);
  for (const ref of reached) for (const next of edges.get(ref) ?? []) reached.add(next);
  expect([...reached].toSorted()).toEqual(
    [document.metadata.component["bom-ref"], ...refs].toSorted(),
  );
});

test("it names Bun, and the WebKit that its JavaScriptCore is of", () => {
  const bun = document.components.find(({ type }) => type === "platform");
  expect(bun).toMatchObject({ name: "bun", version: Bun.version });
  expect(bun).toHaveProperty(
    "components",
    expect.arrayContaining([
      expect.objectContaining({
        name: "JavaScriptCore",
        version: process.versions["webkit"],
        licenses: [{ license: { id: "LGPL-2.0-or-later" } }],
      }),
      expect.objectContaining({ name: "tinycc", licenses: [{ license: { name: "LGPL v2.1" } }] }),
    ]),
  );
});

test("Bun's list of its parts is that of its own minor version", async () => {
  const page = await Bun.file(join(root, "node_modules", "bun-types", "package.json")).json();
  const minor = (version: string) => version.split(".").slice(0, 2);
  expect(minor(page.version)).toEqual(minor(Bun.version));
});

describe("time", () => {
  test("there is none by itself, so that the same sources give the same bytes", () => {
    expect(document.metadata).not.toHaveProperty("timestamp");
    expect(document).not.toHaveProperty("serialNumber");
  });

  test("SOURCE_DATE_EPOCH is it", () => {
    expect(sbom(compiled, "1700000000").metadata.timestamp).toBe("2023-11-14T22:13:20Z");
  });

  test.each(["", "yesterday", "-1", "1e9"])("%p is refused", (epoch) => {
    expect(() => sbom(compiled, epoch)).toThrow("SOURCE_DATE_EPOCH must be seconds since 1970");
  });
});

describe("Bun's page of licenses", () => {
  const page = (rows: string) =>
    `## Linked libraries\n\n| Library | License |\n| --- | --- |\n${rows}\n## Polyfills\n`;

  test("a library has its license in Bun's words", () => {
    const rows =
      "| [`brotli`](https://b.example) | MIT |\n| A fork of [`us`](https://u.example) | [own](https://o.example) |\n";
    expect(linkedLibraries(page(rows))).toEqual([
      { name: "brotli", url: "https://b.example", license: { words: "MIT" } },
      {
        name: "us",
        description: "A fork of us",
        url: "https://u.example",
        license: { words: "own", url: "https://o.example" },
      },
    ]);
  });

  test("a library of another system is left out", () => {
    const rows =
      "| [`libuv`](https://u.example) (on Windows) | MIT |\n| [`x`](https://x.example) (on Linux and Windows) | MIT |\n";
    expect(linkedLibraries(page(rows)).map(({ name }) => name)).toEqual(["x"]);
  });

  test("a page without the table is refused", () => {
    expect(() => linkedLibraries("## License\n\nMIT\n")).toThrow("no table below Linked libraries");
  });
});
