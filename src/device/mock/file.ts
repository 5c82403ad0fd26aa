import { readFileSync, statSync } from "node:fs";
import { Fault, messageOf } from "#core/fault.ts";
import { mockFileBytesMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { type ParsedPlan, type Plan, parsePlan } from "./plan.ts";

/**
 * Follows a mock file: reads it again when its time or size changes.
 *
 * @returns Gives the plan to play now, the same object until the file changes. It throws a
 * `file-invalid` fault while the file has never been valid. Later an invalid version is logged, once,
 * and the plan before it stays: somebody is editing it.
 */
export function followFile(path: string, log: Log): () => Plan {
  let readVersion: string | undefined;
  let plan: Plan | undefined;
  let fault: Fault | undefined;

  return () => {
    const version = versionOf(path);
    if (version !== readVersion) {
      readVersion = version;
      const { plan: fresh, problems } = read(path);
      fault = problems && invalid(path, problems);
      plan = fresh ?? plan;
      if (fault !== undefined && plan !== undefined)
        log("warn", "mock file is invalid, the one before it goes on", { path, problems });
    }
    if (plan !== undefined) return plan;
    throw fault ?? invalid(path, ["the file: cannot be read"]);
  };
}

/** Changes when the file does, and when it comes or goes. */
function versionOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "none" : `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
}

function read(path: string): ParsedPlan {
  try {
    const { size } = statSync(path);
    if (size > mockFileBytesMax)
      return { problems: [`the file: must have at most ${mockFileBytesMax} bytes, got ${size}`] };
    return parsePlan(readFileSync(path, "utf8"));
  } catch (error) {
    return { problems: [`the file: cannot be read: ${messageOf(error)}`] };
  }
}

function invalid(path: string, problems: readonly string[]): Fault {
  const message = `Cannot play mock file ${path}: ${problems.join("; ")}; correct it, it is read again`;
  return new Fault("file-invalid", message, { path, problems });
}
