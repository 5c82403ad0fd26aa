/**
 * `--profiles` of commands that need no server: the profiles there would be with that file.
 *
 * @module
 */
import { didYouMean } from "#core/closest.ts";
import { profilesFileBytesMax } from "#core/limits.ts";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { builtInProfiles, type Profile, type ProfileTable } from "#trigger/profiles.ts";
import { usage } from "./arguments.ts";
import { file, flag } from "./flags.ts";
import { readInput } from "./input-file.ts";

export const profilesFlag = {
  profiles: flag(file, { help: "YAML file with profiles of your own, as serve takes it" }),
} as const;

/**
 * @param path Absent: there are those built in alone.
 * @throws {Fault} `file-invalid` with line and rule of each problem.
 */
export async function profileTable(path: string | undefined): Promise<ProfileTable> {
  if (path === undefined) return builtInProfiles;
  return await readInput("profiles", path, profilesFileBytesMax, (text) => {
    const parsed = parseProfiles(text);
    return parsed.problems === undefined ? { value: parsed.table } : parsed;
  });
}

/** @throws {Fault} `usage-invalid` with what was probably meant, for a name that is none. */
export function profileNamed(command: string, name: string, table: ProfileTable): Profile {
  const profile = table.get(name);
  if (profile !== undefined) return profile;
  const names = [...table.keys()];
  const hint = didYouMean(name, names) || `; allowed: ${names.join(" ")}`;
  throw usage(command, `no profile is named ${JSON.stringify(name)}${hint}`);
}
