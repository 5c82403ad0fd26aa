/**
 * Runs a command under the pinned Bun, with the locked packages in place, on a machine that may have
 * nothing but Node.js: `node tools/bun.mjs run tools/demo.ts`.
 *
 * The Bun that package.json names is taken from where it already is, or installed from npm into
 * `.bun/`. Plain JavaScript, for it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const pinned = packageManager.split("@")[1];

const run = (command, args, options) =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });

/** The version that a Bun says it has; undefined when it does not start. */
function versionOf(path) {
  const { status, stdout } = run(path, ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
  return status === 0 ? stdout.toString().trim() : undefined;
}

/**
 * The binaries that npm brought. `bun` itself is only a script that copies one of them; taking them
 * where they lie needs no install script.
 */
function installed() {
  const vendor = join(root, ".bun", "node_modules", "@oven");
  if (!existsSync(vendor)) return [];
  return readdirSync(vendor).map((name) => join(vendor, name, "bin", "bun"));
}

function pinnedBun() {
  if (process.versions.bun === pinned) return process.execPath;
  const isPinned = (path) => versionOf(path) === pinned;
  const found = [...installed(), "bun"].find(isPinned);
  if (found !== undefined) return found;

  console.error(`Installing Bun ${pinned} from npm into .bun/ (once)`);
  const npm = ["install", "--prefix", join(root, ".bun"), "--no-save", "--ignore-scripts"];
  run("npm", [...npm, "--no-audit", "--no-fund", "--loglevel=error", `bun@${pinned}`]);
  const brought = installed().find(isPinned);
  if (brought !== undefined) return brought;
  console.error(`Cannot get Bun ${pinned}: npm did not bring it; see the lines above`);
  process.exit(1);
}

const bun = pinnedBun();
// Its output is shown only when it fails: a demo should start with the demo.
const packages = run(bun, ["install", "--frozen-lockfile"], { stdio: ["ignore", "pipe", "pipe"] });
if (packages.status !== 0) {
  process.stderr.write(packages.stdout);
  process.stderr.write(packages.stderr);
  process.exit(1);
}
const { status, signal } = run(bun, process.argv.slice(2));
process.exit(signal === null ? status : 1);
