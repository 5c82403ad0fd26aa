/**
 * The file of `--profiles`, read again when it changes.
 *
 * A mounted ConfigMap changes by a symbolic link that is turned to another folder, which no watch of
 * the file itself would notice, so the text is read and compared. A wrong file changes nothing: the
 * triggers that use its profiles would all fail for a typing error in one.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { profilesFileBytesMax, profilesReadEveryMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { builtInProfiles, type ProfileTable } from "#trigger/profiles.ts";

export interface ProfilesFileOptions {
  /** Absent: there are the built-in profiles alone. */
  readonly path?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly readFile: (path: string) => Promise<string>;
}

export interface ProfilesFile {
  /** Those of the newest valid file; another object only when something changed. */
  readonly table: () => ProfileTable;
  /** What is wrong with the file as it is now; the profiles are then those before. */
  readonly fault: () => Fault | undefined;
  /** Runs `listener` after the profiles have changed. */
  readonly subscribe: (listener: () => void) => Cancel;
  readonly stop: () => void;
}

/** @throws {Fault} `file-invalid` when the file cannot be used from the start. */
export async function profilesFile(options: ProfilesFileOptions): Promise<ProfilesFile> {
  const { path, clock } = options;
  if (path === undefined)
    return {
      table: () => builtInProfiles,
      fault: () => undefined,
      subscribe: () => () => {},
      stop: () => {},
    };
  const profiles = readProfiles(path, options);
  await profiles.refresh();
  const fault = profiles.fault();
  if (fault !== undefined) throw fault;
  let isReading = false;
  const stop = clock.every(profilesReadEveryMs, () => {
    // A mount that hangs is read again when it answers.
    if (isReading) return;
    isReading = true;
    void profiles.refresh().finally(() => {
      isReading = false;
    });
  });
  return { table: profiles.table, fault: profiles.fault, subscribe: profiles.subscribe, stop };
}

function readProfiles(path: string, { log, readFile }: Omit<ProfilesFileOptions, "path">) {
  const changes = listeners();
  let table = builtInProfiles;
  let fault: Fault | undefined;
  let current: string | undefined;

  const refresh = async () => {
    const { text, problems } = await read(path, readFile);
    const content = text ?? problems.join();
    if (content === current) return;
    const isFirst = current === undefined;
    current = content;
    const parsed = text === undefined ? { problems } : parseProfiles(text);
    fault = parsed.problems && invalid(path, parsed.problems);
    if (parsed.table === undefined) {
      if (!isFirst)
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
  return { refresh, table: () => table, fault: () => fault, subscribe: changes.subscribe };
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
    return { problems: [`the file: cannot be read: ${messageOf(error)}`] };
  }
}

function invalid(path: string, problems: readonly string[]): Fault {
  const message = `Cannot use profiles file ${path}: ${problems.join("; ")}; correct it`;
  return new Fault("file-invalid", message, { path, problems });
}
