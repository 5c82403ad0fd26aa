/**
 * Two versions in one cluster: `bun tools/skew.ts [COMMIT]` builds the binary of another commit (default:
 * a hundred merges back) in a worktree that it removes, and rolls scalers and then agents from that one
 * to this one and back, while a client with KEDA's contract asks without a pause.
 *
 * Prints what the client was told in each step; exit 1 when a call failed that was made again, or a value
 * was none that these readings make.
 */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  followActivity,
  rollAgents,
  rolledCluster,
  rollScalers,
  type Told,
  toldWhile,
} from "../test/cluster/roll-out.ts";
import { type ForeignClient, foreignClient } from "../test/foreign/client.ts";
import { binary } from "../test/support/binary.ts";

const root = join(import.meta.dir, "..");
/** Three replicas at 92 %, and what holds three with while one of them is not known. */
const possibleValues = [240, 276];

const [, , commit = "HEAD~100"] = Bun.argv;
const folder = mkdtempSync(join(tmpdir(), "skew-"));
await using keda = foreignClient();
try {
  const other = { name: commit, path: buildOf(commit) };
  const current = { name: "these sources", path: binary() };
  const good = [await roll(keda, other, current), await roll(keda, current, other)];
  process.exitCode = good.every(Boolean) ? 0 : 1;
} finally {
  run("git", "worktree", "remove", "--force", join(folder, "sources"));
  rmSync(folder, { recursive: true });
}

interface Version {
  readonly name: string;
  readonly path: string;
}

/** The binary of a commit, built by its own build over the packages that are installed here. */
function buildOf(commit: string): string {
  const sources = join(folder, "sources");
  const outfile = join(folder, "keda-gpu-scaler");
  run("git", "worktree", "add", "--detach", sources, commit);
  symlinkSync(join(root, "node_modules"), join(sources, "node_modules"));
  run(process.execPath, join(sources, "tools", "build.ts"), "--outfile", outfile);
  return outfile;
}

function run(...command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command], { cwd: root });
  if (exitCode !== 0) throw new Error(`Cannot run ${command.join(" ")}: ${stderr}`);
}

/** @returns Whether every step was as it must be. */
async function roll(keda: ForeignClient, from: Version, to: Version): Promise<boolean> {
  await using cluster = await rolledCluster(keda, from.path);
  const { service, llm } = cluster;
  let { scalers } = cluster;
  const activity = await followActivity(keda, service, llm);
  const binaryPath = to.path;
  // Not every version serves on while nodes still send it connections.
  const scalersTold = await toldWhile(keda, service, llm, async () => {
    scalers = await rollScalers(cluster, scalers, { binaryPath, lagMs: 0 });
  });
  const agentsTold = await toldWhile(keda, service, llm, () =>
    rollAgents(cluster, scalers, binaryPath),
  );
  await activity.stop();
  const streams = activity.ends.join(", ");
  console.log(`from ${from.name} to ${to.name}; push streams ended: ${streams}`);
  const good = [
    report(`scalers of ${to.name}, agents of ${from.name}`, scalersTold),
    report(`scalers and agents of ${to.name}`, agentsTold),
  ];
  return good.every(Boolean) && activity.ends.every((end) => end === "OK");
}

function report(step: string, { calls, retried, failed, values, targets, active }: Told): boolean {
  console.log(
    `  ${step}: ${calls} calls, ${retried} answered at the second try, ${failed.length} failed; ` +
      `values ${[...values]}, targets ${[...targets]}, active ${[...active]}`,
  );
  for (const problem of new Set(failed)) console.log(`    ${problem}`);
  return failed.length === 0 && [...values].every((value) => possibleValues.includes(value));
}
