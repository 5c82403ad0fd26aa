import { join } from "node:path";
import { sharedLibrary } from "../support/shared-library.ts";

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

/**
 * Compiles the stand-in, once for each content of its source.
 *
 * @returns The path of a library that can be loaded as `libnvidia-ml.so.1`.
 */
export function buildStandin(variant: Variant): Promise<string> {
  return sharedLibrary({
    name: `nvml-${variant}`,
    what: "the NVML stand-in",
    source: join(import.meta.dir, "nvml.c"),
    flags: ["-fvisibility=hidden", `-DBRANCH=${branches[variant]}`],
  });
}
