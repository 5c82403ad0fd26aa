/** Files that flags of the compiled binary name, where what is there is no file. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBinary } from "../support/binary.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "input-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const fifo = join(folder, "fifo");
Bun.spawnSync(["mkfifo", fifo]);

test.each([
  ["--profiles", ["serve", "--collector", "mock", "--profiles", fifo], "Cannot use profiles file"],
  ["--mock", ["snapshot", "--collector", "mock", "--mock", fifo], "Cannot play mock file"],
  ["--scaledobject", ["simulate", "--scaledobject", fifo], "Cannot use ScaledObject file"],
  ["--kubeconfig", ["serve", "--kubeconfig", fifo], "Cannot reach the Kubernetes API with"],
])(
  "a FIFO as %s is exit 1 and a sentence, and nothing waits for it",
  async (_flag, args, start) => {
    const { exitCode, stderr } = await runBinary(args);
    expect(stderr).toContain(`${start} ${fifo}: `);
    expect(stderr).toContain("a FIFO, not a regular file");
    expect(exitCode).toBe(1);
  },
);
