/**
 * Runs a command under the pinned Bun, with the locked packages in place, on a machine that may have
 * nothing but Node.js: `node tools/bun.mjs --production run tools/demo.ts`. With `--production` it waits
 * for no packages that only checks and tests need.
 *
 * The Bun that package.json names is taken from where it already is, or installed from npm into
 * `.bun/`. Plain JavaScript, for it runs before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process";
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
  const quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  run("npm", [...npm, ...quiet, `bun@${pinned}`], { stdio: ["ignore", "ignore", "inherit"] });
  const brought = installed().find(isPinned);
  if (brought !== undefined) return brought;
  console.error(`Cannot get Bun ${pinned}: npm did not bring it; see the lines above`);
  process.exit(1);
}

const [first, ...rest] = process.argv.slice(2);
const isProduction = first === "--production";
const args = isProduction ? rest : process.argv.slice(2);

const bun = pinnedBun();
if (!existsSync(join(root, "node_modules")))
  console.error("Installing the packages of bun.lock into node_modules/ (once)");
const install = [
  "install",
  "--frozen-lockfile",
  ...(isProduction ? ["--production", "--omit=peer"] : []),
];
// Its output is shown only when it fails: a demo should start with the demo.
const packages = run(bun, install, { stdio: ["ignore", "pipe", "pipe"] });
if (packages.status !== 0) {
  process.stderr.write(packages.stdout);
  process.stderr.write(packages.stderr);
  process.exit(1);
}

const child = spawn(bun, args, { cwd: root, stdio: "inherit" });
// Ctrl-C reaches the child from the terminal; it says its last before this process ends.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("error", (error) => {
  console.error(`Cannot run ${bun}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (status, signal) => process.exit(signal === null ? status : 1));
