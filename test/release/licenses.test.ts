/** What may be compiled in, and what the file of license texts has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CompiledPackage, compiledInOf } from "../../tools/compiled-in.ts";
import { licenseProblems, thirdPartyLicenses } from "../../tools/licenses.ts";

const root = join(import.meta.dir, "..", "..");
const text = readFileSync(join(root, "THIRD_PARTY_LICENSES"), "utf8");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "licenses-"));
  const versions = ["kept", "textless", "unlicensed", "@scope/other"].map(
    (name) => `"${name}": ["${name}@1.0.0", "", {}, "sha512-AAAA"],`,
  );
  writeFileSync(join(folder, "bun.lock"), `{ "packages": { ${versions.join("\n")} } }`);
  const install = (name: string, content: object, files: Readonly<Record<string, string>>) => {
    const at = join(folder, "node_modules", name);
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, "package.json"), JSON.stringify({ name, version: "1.0.0", ...content }));
    for (const [file, words] of Object.entries(files)) writeFileSync(join(at, file), words);
  };
  install("kept", { license: "MIT" }, { "license.md": "Do\r\n", NOTICE: "Say", "index.js": "" });
  install("@scope/other", { license: "ISC" }, { LICENCE: "Be" });
  install("textless", { license: "MIT" }, { "README.md": "MIT" });
  install("unlicensed", {}, { LICENSE: "Mine" });
  install("unlocked", { license: "MIT", version: "2.0.0" }, { LICENSE: "Do" });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A bundle whose entry imports each package, of which all but `dropped` have code in the output. */
function bundleOf(names: readonly string[], dropped: readonly string[] = []) {
  const paths = names.map((name) => `node_modules/${name}/index.js`);
  const kept = paths.filter((path) => !dropped.some((name) => path.includes(`/${name}/`)));
  const imports = (imported: readonly string[]) => ({
    imports: imported.map((path) => ({ path })),
  });
  return {
    inputs: {
      "src/main.ts": imports(paths),
      ...Object.fromEntries(paths.map((path) => [path, imports([])])),
    },
    outputs: {
      binary: { inputs: Object.fromEntries(["src/main.ts", ...kept].map((p) => [p, {}])) },
    },
  };
}
const packagesOf = (names: readonly string[], dropped: readonly string[] = []) =>
  compiledInOf([bundleOf(names, dropped)], folder).packages;

describe("a package that is compiled in", () => {
  test("has every text that its folder has", () => {
    expect(packagesOf(["kept", "@scope/other"])).toEqual([
      expect.objectContaining({ name: "@scope/other", license: "ISC", texts: ["Be"] }),
      expect.objectContaining({ name: "kept", integrity: "sha512-AAAA", texts: ["Say", "Do\r\n"] }),
    ]);
  });

  test.each([
    ["textless", "textless 1.0.0: it brings no license text"],
    ["unlicensed", "unlicensed 1.0.0: its package.json names no license"],
    ["unlocked", "node_modules has unlocked 2.0.0, which bun.lock does not name; run bun install"],
  ])("%s is refused", (name, refusal) => {
    expect(() => packagesOf(["kept", name])).toThrow(refusal);
  });

  test("does not count when none of its code is left", () => {
    expect(packagesOf(["kept", "textless"], ["textless"]).map(({ name }) => name)).toEqual([
      "kept",
    ]);
  });
});

const licensed = (license: string): CompiledPackage => ({
  name: "new",
  license,
  imports: [],
  texts: ["Do"],
});

describe("a license", () => {
  test.each(["MIT", "(Apache-2.0 AND BSD-3-Clause)", "(MIT OR ISC)"])(
    "%s is allowed",
    (license) => {
      expect(licenseProblems(licensed(license))).toEqual([]);
    },
  );

  test.each([
    ["GPL-3.0-only", "GPL-3.0-only"],
    ["(MIT AND MPL-2.0)", "MPL-2.0"],
    ["SEE LICENSE IN license.txt", "SEE"],
  ])("%s is refused, with what to do", (license, word) => {
    const [problem] = licenseProblems(licensed(license));
    expect(problem).toStartWith("Cannot compile in new: its license must be of Apache-2.0, ");
    expect(problem).toContain(`got ${word}; use another package, or allow it in tools/licenses.ts`);
  });
});

describe("THIRD_PARTY_LICENSES", () => {
  test("two packages with one text share it", () => {
    const packages = packagesOf(["kept", "@scope/other"]);
    const same = packages.map((compiled) => ({ ...compiled, texts: ["Do as you like\r\n"] }));
    const written = thirdPartyLicenses(same);
    expect(written).toContain("@scope/other 1.0.0 (ISC)\nkept 1.0.0 (MIT)\n\nDo as you like\n");
    expect(written.match(/Do as you like/g)).toHaveLength(1);
  });

  test("has Bun's page, the texts of the LGPL and how to put a changed library back", () => {
    expect(text).toContain("Bun statically links JavaScriptCore");
    expect(text).toContain(`at commit\n${process.versions["webkit"]}`);
    expect(text).toContain("GNU LIBRARY GENERAL PUBLIC LICENSE\n                       Version 2,");
    expect(text).toContain(
      "GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 2.1,",
    );
    expect(text).toContain("`PATH/TO/YOUR/bun tools/build.ts`");
  });

  test("has the texts that packages leave out of what they publish", () => {
    expect(text).toContain("@connectrpc/connect 2.2.0 (Apache-2.0)");
    expect(text).toContain("Copyright 2008 Google Inc.  All rights reserved.");
  });
});
