/**
 * The parts that pods have of a device that they share, from what the driver says of its processes.
 *
 * @module
 */
import { type DeviceProcess, type UseName, type UseShares, useNames } from "#metric/device-use.ts";
import type { OwnerOf, ProcessOwner } from "./process-owners.ts";

/**
 * A use is told only where each process that has any of it is known, and whose it is: as soon as one is not,
 * its pod would look idle. So would all pods where none of the processes is in one: the node then may
 * not put pods into cgroups of their own.
 */
export function useShares(processes: readonly DeviceProcess[], ownerOf: OwnerOf): UseShares {
  const shares: { -readonly [Name in UseName]?: UseShares[Name] } = {};
  for (const name of useNames) {
    const own = sharesOf(name, processes, ownerOf);
    if (own !== undefined) shares[name] = own;
  }
  return shares;
}

function sharesOf(
  name: UseName,
  processes: readonly DeviceProcess[],
  ownerOf: OwnerOf,
): ReadonlyMap<string, number> | undefined {
  const byPod = new Map<string, number>();
  let total = 0;
  for (const { pid, [name]: used } of processes) {
    const owner = used === 0 ? idle : ownerOf(pid);
    if (used === undefined || owner === undefined || isClients(owner, name)) return undefined;
    total += used;
    if (owner.kind === "pod") byPod.set(owner.uid, (byPod.get(owner.uid) ?? 0) + used);
  }
  if (byPod.size === 0) return undefined;
  return new Map([...byPod].map(([uid, used]) => [uid, used / total]));
}

/** Whose a process is that has nothing of a use does not matter. */
const idle: ProcessOwner = { kind: "none" };

/** Of an MPS server, what its clients have it do. Memory is its own, for they are listed with theirs. */
function isClients({ kind }: ProcessOwner, name: UseName): boolean {
  return kind === "mps-server" && name !== "memoryUsedBytes";
}
