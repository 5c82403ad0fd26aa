import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRegularFile, readRegularFileSync } from "#core/regular-file.ts";

const folder = mkdtempSync(join(tmpdir(), "regular-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

mkdirSync(at("directory"));
writeFileSync(at("small"), "ten bytes\n");
symlinkSync("small", at("link"));
symlinkSync("nowhere", at("dangling"));
Bun.spawnSync(["mkfifo", at("fifo")]);

describe.each([
  ["readRegularFile()", readRegularFile],
  [
    "readRegularFileSync()",
    async (path: string, bytesMax: number) => readRegularFileSync(path, bytesMax),
  ],
])("%s", (_name, read) => {
  test("reads a file of just the limit, and what a symbolic link leads to", async () => {
    expect(await read(at("small"), 10)).toBe("ten bytes\n");
    expect(await read(at("link"), 10)).toBe("ten bytes\n");
  });

  test("reads a file whose size the system does not tell", async () => {
    expect(await read("/proc/self/status", 65_536)).toContain("Pid:");
    // The kernel gives this one a page at a time, and what is last comes last.
    expect(await read("/proc/self/smaps", 16 * 1024 * 1024)).toContain("[vdso]");
    expect(read("/proc/self/status", 10)).rejects.toThrow(
      "more than 10 bytes, and it must have at most 10",
    );
  });

  test.each([
    ["a FIFO that nobody writes into", at("fifo"), "a FIFO, not a regular file"],
    ["a directory", at("directory"), "a directory, not a regular file"],
    ["a device without end", "/dev/zero", "a device, not a regular file"],
    ["what is not there", at("nothing"), "ENOENT"],
    ["a link that leads nowhere", at("dangling"), "ENOENT"],
    ["a file of one byte too many", at("small"), "10 bytes, and it must have at most 9"],
  ])("refuses %s", async (_what, path, problem) => {
    expect(read(path, 9)).rejects.toThrow(problem);
  });
});
