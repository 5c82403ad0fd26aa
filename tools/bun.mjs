/**
 * Runs a command under the pinned Bun, with the locked packages in place, on a machine that may have
 * nothing but Node.js: `node tools/bun.mjs run tools/demo.ts`.
 *
 * The Bun that package.json names is taken from where it already is, or installed from npm into
 * `.bun/`. Plain JavaScript, for it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const wanted = packageManager.split("@")[1];

const run = (command, args, options) =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });

/** The version that a Bun says it has; undefined when it does not start. */
function versionOf(path) {
  const { status, stdout } = run(path, ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
  return status === 0 ? stdout.toString().trim() : undefined;
}

function pinnedBun() {
  if (process.versions.bun === wanted) return process.execPath;
  const own = join(root, ".bun", "node_modules", ".bin", "bun");
  const found = [own, "bun"].find((path) => versionOf(path) === wanted);
  if (found !== undefined) return found;

  console.error(`Installing Bun ${wanted} from npm into .bun/ (once)`);
  const npm = [
    "install",
    "--prefix",
    join(root, ".bun"),
    "--no-save",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
  ];
  run("npm", [...npm, "--loglevel=error", `bun@${wanted}`]);
  if (versionOf(own) === wanted) return own;
  console.error(`Cannot get Bun ${wanted}: npm did not bring it; see the lines above`);
  process.exit(1);
}

const bun = pinnedBun();
// The output is wanted only when it fails: a demo should start with the demo.
const installed = run(bun, ["install", "--frozen-lockfile"], { stdio: ["ignore", "pipe", "pipe"] });
if (installed.status !== 0) {
  process.stderr.write(installed.stdout);
  process.stderr.write(installed.stderr);
  process.exit(1);
}
const { status, signal } = run(bun, process.argv.slice(2));
process.exit(signal === null ? status : 1);
