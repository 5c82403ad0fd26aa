/**
 * The text of a file that somebody named, wherever the name leads.
 *
 * Opening a FIFO waits for somebody who writes into it, perhaps for ever, and a device may never
 * end. So a file is opened without waiting, looked at, and read only when it is a regular file and
 * small enough. Symbolic links are followed: a mounted ConfigMap is made of them.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import { fileGrowthBytes } from "./limits.ts";

const openFlags = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * @returns The file as UTF-8.
 * @throws {Error} that says what is there instead of a readable file of at most `bytesMax` bytes, as
 * in `a FIFO, not a regular file`; whoever reads the file knows what it was to be used for.
 */
export async function readRegularFile(path: string, bytesMax: number): Promise<string> {
  const file = await open(path, openFlags);
  try {
    let buffer = bufferFor(await file.stat(), bytesMax);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length > bytesMax)
        return contentOf(buffer, length, bytesMax).toString("utf8");
      buffer = withRoom(buffer, length, bytesMax);
    }
  } finally {
    await file.close();
  }
}

/** The same for a thread that may wait for the disk. */
export function readRegularFileSync(path: string, bytesMax: number): string {
  return readRegularBytesSync(path, bytesMax).toString("utf8");
}

/** The same for a file that is no text. */
export function readRegularBytesSync(path: string, bytesMax: number): Buffer {
  const file = openSync(path, openFlags);
  try {
    let buffer = bufferFor(fstatSync(file), bytesMax);
    let length = 0;
    for (;;) {
      const bytesRead = readSync(file, buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length > bytesMax) return contentOf(buffer, length, bytesMax);
      buffer = withRoom(buffer, length, bytesMax);
    }
  } finally {
    closeSync(file);
  }
}

/** Room for some bytes more than there are: a file may grow, and not every one tells its size. */
function bufferFor(stats: Stats, bytesMax: number): Buffer {
  if (!stats.isFile()) throw new Error(`${kindOf(stats)}, not a regular file`);
  if (stats.size > bytesMax) throw tooLarge(`${stats.size}`, bytesMax);
  return Buffer.allocUnsafe(Math.min(stats.size + fileGrowthBytes, bytesMax) + 1);
}

/** The same bytes with room for more, where there is none. */
function withRoom(buffer: Buffer, length: number, bytesMax: number): Buffer {
  if (length < buffer.length) return buffer;
  const larger = Buffer.allocUnsafe(Math.min(2 * length, bytesMax) + 1);
  buffer.copy(larger);
  return larger;
}

function contentOf(buffer: Buffer, length: number, bytesMax: number): Buffer {
  if (length > bytesMax) throw tooLarge(`more than ${bytesMax}`, bytesMax);
  return buffer.subarray(0, length);
}

function tooLarge(size: string, bytesMax: number): Error {
  return new Error(`${size} bytes, and it must have at most ${bytesMax}`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a directory";
  if (stats.isFIFO()) return "a FIFO";
  return stats.isSocket() ? "a socket" : "a device";
}
