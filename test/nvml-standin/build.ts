import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Driver branches that the stand-in can be: what each lacks is in nvml.c. */
export const branches = {
  full: 570,
  r580: 580,
  r550: 550,
  r535: 535,
  r525: 525,
  r470: 470,
  r418: 418,
} as const;
export type Variant = keyof typeof branches;

const source = join(import.meta.dir, "nvml.c");
const flags = ["-std=gnu11", "-Wall", "-Wextra", "-O2", "-fPIC", "-shared"];

/**
 * Compiles the stand-in, once for each content of its source.
 *
 * @returns The path of a library that can be loaded as `libnvidia-ml.so.1`.
 */
export async function buildStandin(variant: Variant): Promise<string> {
  const { CC: compiler = "cc" } = process.env;
  if (Bun.which(compiler) === null)
    throw new Error(
      `Cannot build the NVML stand-in: there is no C compiler named ${compiler}; ` +
        "install gcc (apt-get install gcc libc6-dev) or set CC",
    );

  const args = [...flags, "-fvisibility=hidden", `-DBRANCH=${branches[variant]}`];
  const hash = createHash("sha256");
  const key = hash.update(await readFile(source)).update([compiler, ...args].join(" "));
  const folder = join(tmpdir(), `keda-gpu-scaler-nvml-${process.getuid?.() ?? "any"}`);
  const path = join(folder, `${variant}-${key.digest("hex").slice(0, 16)}.so`);
  if (existsSync(path)) return path;

  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Renamed into place, because test files build at the same time.
  const building = `${path}.${process.pid}.${crypto.randomUUID()}`;
  const build = Bun.spawn([compiler, ...args, "-o", building, source], { stderr: "pipe" });
  const complaint = await new Response(build.stderr).text();
  if ((await build.exited) !== 0)
    throw new Error(`Cannot build the NVML stand-in: ${compiler} says ${complaint}`);
  await rename(building, path);
  return path;
}
