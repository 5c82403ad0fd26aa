/**
 * Everything that must hold before a change lands: protocol files break nobody, generated code is
 * current, lint, types, no dead code, the binary builds, every test passes. Closes on `N passed, N
 * failed`.
 */
import { join } from "node:path";
import { build, nativeBinary } from "./build.ts";

const root = join(import.meta.dir, "..");
const report = join(root, "dist", "test-report.xml");

const checks = [
  ["protocol files", "buf", "lint"],
  ["protocol compatibility", process.execPath, "tools/breaking.ts"],
  ["generated code", process.execPath, "tools/gen.ts", "--check"],
  ["generated status page", process.execPath, "tools/page.ts", "--check"],
  ["generated reference", process.execPath, "tools/reference.ts", "--check"],
  ["generated table of engines", process.execPath, "tools/engines.ts", "--check"],
  ["generated admission policy", process.execPath, "tools/policy.ts", "--check"],
  ["license texts of what is compiled in", process.execPath, "tools/licenses.ts", "--check"],
  ["format, lint and room rules", "biome", "ci", "--error-on-warnings", "."],
  ["types", "tsc"],
  ["types of the status page", "tsc", "-p", "src/page"],
  ["dead code", "knip"],
] as const;

for (const [what, ...command] of checks) {
  console.log(`checking ${what}`);
  run(what, command);
}
console.log("building the binary");
build({ outfile: nativeBinary });

// A test that starts processes takes seconds on a busy machine, and hangs for other reasons than 5 s.
const tests = [process.execPath, "test", "--randomize", "--coverage", "--timeout=30000"];
const { exitCode } = Bun.spawnSync(
  [...tests, "--reporter=junit", `--reporter-outfile=${report}`, ...Bun.argv.slice(2)],
  { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
);
const [suites = ""] = /<testsuites [^>]*>/.exec(await Bun.file(report).text()) ?? [];
const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suites)?.[1]);
const [total, failed, skipped] = [count("tests"), count("failures"), count("skipped")];
const skippedNote = skipped === 0 ? "" : `, ${skipped} skipped`;
console.log(`${total - failed - skipped} passed, ${failed} failed${skippedNote}`);
// A test run can also fail outside a test, when a file does not load.
process.exit(exitCode !== 0 || !(total > 0) ? 1 : 0);

function run(what: string, command: readonly string[]): void {
  const PATH = `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}`;
  const ran = Bun.spawnSync([...command], {
    cwd: root,
    env: { ...process.env, PATH },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (ran.exitCode === 0) return;
  console.error(`Not ok: ${what}; see the lines above, and run: ${command.join(" ")}`);
  process.exit(1);
}
