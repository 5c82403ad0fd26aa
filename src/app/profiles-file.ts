/**
 * The file of `--profiles`, read again when it changes.
 *
 * A mounted ConfigMap changes by a symbolic link that is turned to another folder, which no watch of
 * the file itself would see, so the text is read and compared. A wrong file changes nothing: the
 * triggers that use its profiles would all fail for a typing error in one.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { profilesFileBytesMax, profilesLookMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { builtInProfiles, type ProfileTable } from "#trigger/profiles.ts";

export interface ProfilesFileOptions {
  /** Absent: there are the built-in profiles alone. */
  readonly path: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly readFile: (path: string) => Promise<string>;
}

export interface ProfilesFile {
  /** The newest good ones; another object only when something changed. */
  readonly table: () => ProfileTable;
  /** What is wrong with the file as it is now; the profiles are those before. */
  readonly fault: () => Fault | undefined;
  /** Runs `listener` after the profiles have changed. */
  readonly subscribe: (listener: () => void) => Cancel;
  readonly stop: () => void;
}

/** @throws {Fault} `file-invalid` when the file cannot be used from the start. */
export async function profilesFile({
  path,
  clock,
  log,
  readFile,
}: ProfilesFileOptions): Promise<ProfilesFile> {
  const changes = listeners();
  let table = builtInProfiles;
  let fault: Fault | undefined;
  const view = { table: () => table, fault: () => fault, subscribe: changes.subscribe };
  if (path === undefined) return { ...view, stop: () => {} };

  let seen: string | undefined;
  const look = async () => {
    const { text, problems } = await read(path, readFile);
    const now = text ?? problems.join();
    if (now === seen) return;
    const isFirst = seen === undefined;
    seen = now;
    const parsed = text === undefined ? { problems } : parseProfiles(text);
    fault = parsed.problems && invalid(path, parsed.problems);
    if (parsed.table === undefined) {
      if (isFirst) return;
      log("warn", "profiles file is invalid, the profiles before it stay", {
        path,
        problems: parsed.problems,
      });
      return;
    }
    table = parsed.table;
    log("info", "profiles read", { path, profiles: table.size - builtInProfiles.size });
    changes.notify();
  };
  await look();
  if (fault !== undefined) throw fault;
  let looking = false;
  const stop = clock.every(profilesLookMs, () => {
    // A mount that hangs is looked at again when it answers.
    if (looking) return;
    looking = true;
    void look().finally(() => {
      looking = false;
    });
  });
  return { ...view, stop };
}

type Read =
  | { readonly text: string; readonly problems?: never }
  | { readonly problems: readonly string[]; readonly text?: never };

async function read(path: string, readFile: ProfilesFileOptions["readFile"]): Promise<Read> {
  try {
    const text = await readFile(path);
    const bytes = Buffer.byteLength(text);
    return bytes <= profilesFileBytesMax
      ? { text }
      : { problems: [`the file: must have at most ${profilesFileBytesMax} bytes, got ${bytes}`] };
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    return { problems: [`the file: cannot be read: ${what}`] };
  }
}

function invalid(path: string, problems: readonly string[]): Fault {
  const message = `Cannot use profiles file ${path}: ${problems.join("; ")}; correct it`;
  return new Fault("file-invalid", message, { path, problems });
}
