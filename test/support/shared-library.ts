import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const common = ["-std=gnu11", "-Wall", "-Wextra", "-O2", "-fPIC", "-shared"];

export interface LibraryOptions {
  /** Of its file. */
  readonly name: string;
  /** For messages. */
  readonly what: string;
  readonly source: string;
  readonly flags?: readonly string[];
}

/**
 * Compiles a C file to a shared library, once for each content of it.
 *
 * @returns The library's path.
 */
export async function sharedLibrary(options: LibraryOptions): Promise<string> {
  const { name, what, source, flags = [] } = options;
  const { CC: compiler = "cc" } = process.env;
  if (Bun.which(compiler) === null)
    throw new Error(
      `Cannot build ${what}: there is no C compiler named ${compiler}; ` +
        "install gcc (apt-get install gcc libc6-dev) or set CC",
    );

  const args = [...common, ...flags];
  const hash = createHash("sha256");
  const key = hash.update(await readFile(source)).update([compiler, ...args].join(" "));
  const folder = join(tmpdir(), `keda-gpu-scaler-c-${process.getuid?.() ?? "any"}`);
  const path = join(folder, `${name}-${key.digest("hex").slice(0, 16)}.so`);
  if (existsSync(path)) return path;

  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Renamed into place, because test files build at the same time.
  const building = `${path}.${process.pid}.${crypto.randomUUID()}`;
  const build = Bun.spawn([compiler, ...args, "-o", building, source], { stderr: "pipe" });
  const complaint = await new Response(build.stderr).text();
  if ((await build.exited) !== 0)
    throw new Error(`Cannot build ${what}: ${compiler} says ${complaint}`);
  await rename(building, path);
  return path;
}
