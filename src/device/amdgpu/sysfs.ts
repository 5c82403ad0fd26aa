/**
 * A file of sysfs, or why it says nothing.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { sysfsFileBytesMax } from "#core/limits.ts";
import { readRegularBytesSync, readRegularFileSync } from "#core/regular-file.ts";
import type { Absence } from "#metric/reading.ts";

/** What the kernel answered instead of a text. */
export interface SysfsRefusal {
  readonly absence: Absence;
  /** The error's code, as in `ENODATA`, or `unreadable` where it has none. */
  readonly code: string;
}

/** @returns The text without the line's end. */
export function readSysfs(path: string): string | SysfsRefusal {
  return orRefusal(() => readRegularFileSync(path, sysfsFileBytesMax).trim());
}

/** The same for a file that is no text. */
export function readSysfsBytes(path: string): Uint8Array | SysfsRefusal {
  return orRefusal(() => readRegularBytesSync(path, sysfsFileBytesMax));
}

function orRefusal<Content>(read: () => Content): Content | SysfsRefusal {
  try {
    return read();
  } catch (error) {
    const code = codeOf(error);
    return { absence: absenceOfCode(code), code };
  }
}

/** @returns What the folder has: nothing where there is no such folder. */
export function namesIn(folder: string): readonly string[] | SysfsRefusal {
  try {
    return readdirSync(folder);
  } catch (error) {
    const code = codeOf(error);
    const absence = absenceOfCode(code);
    return absence === "unsupported" ? [] : { absence, code };
  }
}

/**
 * What an error of a sensor's file says of the reading.
 *
 * The driver makes no file for most of what a card does not have. `EPERM` is no missing right: it is
 * the driver's answer while it resets the card or the card is suspended. A missing right is `EACCES`.
 */
export function absenceOfCode(code: string): Absence {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
    case "EOPNOTSUPP":
    case "ENOTSUP":
      return "unsupported";
    case "EACCES":
      return "not-permitted";
    default:
      return "failed";
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unreadable";
}
