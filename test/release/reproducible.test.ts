/** The same sources give the same binary, whoever builds them, where and when. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  utimesSync,
} from "node:fs";
import { dirname, join } from "node:path";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "..", "..");
let folder: string;

beforeAll(() => {
  mkdirSync(join(root, "dist"), { recursive: true });
  // On the disk of the packages, which are linked and not copied.
  folder = mkdtempSync(join(root, "dist", "reproducible-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("two builds under other names, in other folders, homes and time zones are one binary", async () => {
  const first = join(folder, "first");
  mkdirSync(first);
  for (const part of ["src", "gen", "tools", "package.json", "bun.lock", "bunfig.toml"])
    cpSync(join(root, part), join(first, part), { recursive: true });
  const packages = realpathSync(join(root, "node_modules"));
  expect(Bun.spawnSync(["cp", "-al", packages, join(first, "node_modules")]).exitCode).toBe(0);
  const one = await hashOfBuild(first, { name: "binary", timeZone: "UTC" });

  const second = join(folder, "another", "and-longer");
  mkdirSync(dirname(second));
  renameSync(first, second);
  const changedAt = new Date("2024-02-29T00:00:00Z");
  for (const path of new Bun.Glob("{src,gen,tools}/**").scanSync({ cwd: second }))
    utimesSync(join(second, path), changedAt, changedAt);
  const other = await hashOfBuild(second, { name: "binary-linux", timeZone: "Asia/Tokyo" });
  expect(other).toBe(one);
});

/** SHA-256 of the binary that a checkout gives in a home and a folder of temporary files of its own. */
async function hashOfBuild(
  checkout: string,
  { name, timeZone }: { readonly name: string; readonly timeZone: string },
): Promise<string> {
  const [home, temporary] = [`${checkout}-home`, `${checkout}-temporary`];
  for (const path of [home, temporary]) mkdirSync(path);
  const outfile = join(temporary, name);
  const { exitCode, stderr } = Bun.spawnSync(
    [process.execPath, "tools/build.ts", "--outfile", outfile],
    {
      cwd: checkout,
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        TMPDIR: temporary,
        TZ: timeZone,
        BUILD_REVISION: "0123456789ab",
      },
    },
  );
  expect(stderr.toString()).toBe("");
  expect(exitCode).toBe(0);
  const hash = createHash("sha256");
  for await (const chunk of Bun.file(outfile).stream()) hash.update(chunk);
  rmSync(outfile);
  return hash.digest("hex");
}
