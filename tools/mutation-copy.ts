/**
 * Copies of the repository in which the code may be changed and its tests run.
 *
 * @module
 */
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Ran {
  readonly ok: boolean;
  readonly timedOut: boolean;
  /** What the command wrote, both streams. */
  readonly output: string;
}

export interface MutationCopy {
  readonly write: (path: string, text: string) => void;
  /** Runs test files until one fails. A run that exceeds the time, in milliseconds, is ended. */
  readonly test: (paths: readonly string[], timeoutMs?: number) => Promise<Ran>;
  /** Checks the types of `src`. */
  readonly checkTypes: () => Promise<Ran>;
  /** Ends what runs and removes the copy. */
  readonly remove: () => void;
}

const uncopied = new Set(["node_modules", ".bun", ".git", "dist", "coverage"]);
const tsc = join(import.meta.dir, "..", "node_modules", ".bin", "tsc");
/** Longer than the tests of any room take. */
const runMsMax = 600_000;

export function mutationCopy(root: string): MutationCopy {
  const folder = mkdtempSync(join(tmpdir(), "mutate-"));
  for (const name of readdirSync(root))
    if (!uncopied.has(name)) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  // The types of the code alone: the tests do not change.
  const config = { extends: "./tsconfig.json", include: ["src"] };
  writeFileSync(join(folder, "tsconfig.mutant.json"), JSON.stringify(config));

  const running = new Set<number>();
  // Each command leads a process group of its own, so that nothing it started outlives it.
  const run = async (command: string[], timeoutMs = runMsMax): Promise<Ran> => {
    const stdio = ["ignore", "pipe", "pipe"] as const;
    const child = Bun.spawn(command, { cwd: folder, detached: true, stdio: [...stdio] });
    running.add(child.pid);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, timeoutMs);
    const outputs = [child.stdout, child.stderr].map((stream) => new Response(stream).text());
    const exitCode = await child.exited;
    clearTimeout(timer);
    killGroup(child.pid);
    running.delete(child.pid);
    return { ok: exitCode === 0, timedOut, output: (await Promise.all(outputs)).join("") };
  };

  return {
    write: (path, text) => writeFileSync(join(folder, path), text),
    test: (paths, timeoutMs) => {
      const files = paths.map((path) => `./${path}`);
      return run([process.execPath, "test", "--bail", ...files], timeoutMs);
    },
    checkTypes: () => run([tsc, "-p", "tsconfig.mutant.json"]),
    remove: () => {
      running.forEach(killGroup);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Everything in it has ended already.
  }
}
