/**
 * Compiles the binary: `bun tools/build.ts` for this machine, `--all` for both architectures,
 * `--arch arm64 --outfile PATH` for one.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json" with { type: "json" };

const root = join(import.meta.dir, "..");
/** The worker is an entry point of its own, so that its module travels in the binary. */
const entries = ["src/main.ts", "src/device/worker.ts"];

interface Target {
  /** As container platforms name it; absent for this machine's. */
  readonly arch?: Architecture;
  readonly outfile: string;
  /** Where to write which files the binary is made of, as esbuild's metafile. */
  readonly metafile?: string;
}

const platforms = { amd64: "bun-linux-x64", arm64: "bun-linux-arm64" } as const;
type Architecture = keyof typeof platforms;

export const nativeBinary = join(root, "dist", "keda-gpu-scaler");
const everyTarget: readonly Target[] = [
  { outfile: nativeBinary },
  ...(["amd64", "arm64"] as const).map((arch) => ({
    arch,
    outfile: `${nativeBinary}-linux-${arch}`,
  })),
];

/** @throws with the compiler's own words when it fails. */
export function build({ arch, outfile, metafile }: Target): void {
  mkdirSync(dirname(outfile), { recursive: true });
  // The compiler writes the name of its output into it: under one name, the bytes are the same ones.
  const folder = mkdtempSync(join(dirname(outfile), ".build-"));
  const compiled = join(folder, basename(nativeBinary));
  const command = [
    process.execPath,
    "build",
    "--compile",
    "--minify",
    "--bytecode",
    // As CommonJS the bundler would write the build machine's path into the binary.
    "--format=esm",
    // The binary must not read files of the directory that it happens to be started in.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    ...(arch === undefined ? [] : [`--target=${platforms[arch]}`]),
    ...(metafile === undefined ? [] : [`--metafile=${metafile}`]),
    `--define=BUILD_VERSION=${JSON.stringify(version)}`,
    `--define=BUILD_REVISION=${JSON.stringify(revision())}`,
    ...entries,
    "--outfile",
    compiled,
  ];
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: root });
    if (exitCode !== 0) throw new Error(`Cannot build ${outfile}:\n${stdout}${stderr}`);
    renameSync(compiled, outfile);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The commit that is built: an image build passes it in, a source archive has none. */
function revision(): string {
  const passedIn = process.env["BUILD_REVISION"];
  if (passedIn !== undefined) return passedIn;
  const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root });
  return git.exitCode === 0 ? git.stdout.toString().trim() : "unknown";
}

function requestedTargets(): readonly Target[] {
  const { values } = parseArgs({
    options: {
      all: { type: "boolean", default: false },
      arch: { type: "string" },
      outfile: { type: "string", default: nativeBinary },
    },
  });
  if (values.all) return everyTarget;
  if (values.arch === undefined) return [{ outfile: values.outfile }];
  const arch = (["amd64", "arm64"] as const).find((known) => known === values.arch);
  if (arch === undefined) throw new Error(`--arch must be amd64 or arm64, got ${values.arch}`);
  return [{ arch, outfile: values.outfile }];
}

if (import.meta.main) {
  for (const target of requestedTargets()) {
    build(target);
    const mebibytes = Bun.file(target.outfile).size / 1024 / 1024;
    console.log(`${target.outfile} ${mebibytes.toFixed(1)} MiB`);
  }
}
