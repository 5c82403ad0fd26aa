/**
 * Prints what the binary is made of as a CycloneDX 1.6 document in JSON: `bun tools/sbom.ts`. The same
 * sources give the same bytes; the document has a time only where SOURCE_DATE_EPOCH names one.
 */
import { license, name, version } from "../package.json" with { type: "json" };
import { type BunPart, licensePage, linkedLibraries, webkitCommit } from "./bun-parts.ts";
import { type CompiledIn, type CompiledPackage, compiledIn } from "./compiled-in.ts";

/**
 * @param sourceDateEpoch Seconds since 1970, in digits, as reproducible builds pass them.
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export function sbom({ packages, imports }: CompiledIn, sourceDateEpoch: string | undefined) {
  const libraries = linkedLibraries(licensePage());
  const refs = new Map(packages.map((compiled) => [compiled.name, refOf(compiled)]));
  const refsOf = (names: readonly string[]) => names.map((other) => refs.get(other) ?? other);
  const main = { "bom-ref": `${name}@${version}`, type: "application", name, version };
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      ...(sourceDateEpoch !== undefined && { timestamp: timeOf(sourceDateEpoch) }),
      lifecycles: [{ phase: "build" }],
      component: { ...main, licenses: [{ license: { id: license } }] },
    },
    components: [...packages.map(npmComponent), bunComponent(libraries)],
    dependencies: [
      { ref: main["bom-ref"], dependsOn: [bunRef, ...refsOf(imports)] },
      ...packages.map((compiled) => ({
        ref: refOf(compiled),
        dependsOn: refsOf(compiled.imports),
      })),
      {
        ref: bunRef,
        dependsOn: [javaScriptCore["bom-ref"], ...libraries.map((part) => bunPartRef(part))],
      },
    ],
  };
}

function timeOf(sourceDateEpoch: string): string {
  if (!/^\d{1,11}$/.test(sourceDateEpoch))
    throw new Error(
      `Cannot date the document: SOURCE_DATE_EPOCH must be seconds since 1970, got ${sourceDateEpoch}`,
    );
  return new Date(Number(sourceDateEpoch) * 1000).toISOString().replace(".000", "");
}

/** A package URL: https://github.com/package-url/purl-spec, type npm. */
function refOf({ name: packageName, version: packageVersion }: CompiledPackage): string {
  const path = packageName.replace("@", "%40");
  return `pkg:npm/${path}${packageVersion === undefined ? "" : `@${packageVersion}`}`;
}

function npmComponent(compiled: CompiledPackage) {
  const purl = refOf(compiled);
  const { inside, integrity } = compiled;
  return {
    "bom-ref": purl,
    type: "library",
    name: compiled.name,
    ...(compiled.version !== undefined && { version: compiled.version }),
    ...(inside !== undefined && { description: `Inside the published file of ${inside}` }),
    ...(integrity !== undefined && { hashes: [hashOf(integrity)] }),
    licenses: licensesOf(compiled.license),
    purl,
  };
}

/** Of the package's archive, in hexadecimal. */
function hashOf(integrity: string) {
  const [, base64] = /^sha512-(.+)$/.exec(integrity) ?? [];
  if (base64 === undefined) throw new Error(`Cannot read the integrity ${integrity}: not SHA-512`);
  return { alg: "SHA-512", content: Buffer.from(base64, "base64").toString("hex") };
}

const licensesOf = (spdx: string) =>
  /^[\w.-]+$/.test(spdx) ? [{ license: { id: spdx } }] : [{ expression: spdx }];

const bunRef = `pkg:github/oven-sh/bun@bun-v${Bun.version}`;

/**
 * LGPL-2.0-or-later is what its files say, such as Source/JavaScriptCore/runtime/JSObject.cpp of
 * oven-sh/WebKit; others of its files are under BSD licenses.
 */
const javaScriptCore = {
  "bom-ref": `pkg:github/oven-sh/webkit@${webkitCommit}`,
  type: "library",
  name: "JavaScriptCore",
  version: webkitCommit,
  licenses: [{ license: { id: "LGPL-2.0-or-later" } }],
  purl: `pkg:github/oven-sh/webkit@${webkitCommit}`,
};

function bunComponent(libraries: readonly BunPart[]) {
  return {
    "bom-ref": bunRef,
    type: "platform",
    name: "bun",
    version: Bun.version,
    licenses: [{ license: { id: "MIT" } }],
    purl: bunRef,
    externalReferences: [{ type: "license", url: "https://bun.com/docs/project/license" }],
    components: [javaScriptCore, ...libraries.map(bunPartComponent)],
  };
}

const bunPartRef = (part: BunPart) => `${bunRef}#${encodeURIComponent(part.name)}`;

function bunPartComponent(part: BunPart) {
  const { words, url } = part.license;
  const id = spdxIds[words];
  return {
    "bom-ref": bunPartRef(part),
    type: "library",
    name: part.name,
    ...(part.version !== undefined && { version: part.version }),
    ...(part.description !== undefined && { description: part.description }),
    licenses: [
      { license: { ...(id === undefined ? { name: words } : { id }), ...(url && { url }) } },
    ],
    externalReferences: [{ type: "website", url: part.url }],
  };
}

/** Bun's words that name exactly one license; others are passed on as they are. */
const spdxIds: Readonly<Record<string, string>> = {
  MIT: "MIT",
  "MIT licensed": "MIT",
  "BSD 2-Clause": "BSD-2-Clause",
  "BSD 3-Clause": "BSD-3-Clause",
  "Apache 2.0": "Apache-2.0",
  "Apache 2.0 licensed": "Apache-2.0",
  zlib: "Zlib",
};

if (import.meta.main)
  console.log(
    JSON.stringify(sbom(await compiledIn(), process.env["SOURCE_DATE_EPOCH"]), undefined, 2),
  );
