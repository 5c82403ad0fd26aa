/**
 * Whose a process is: the pod in whose cgroup the node's kernel has it.
 *
 * The kubelet puts the pod's UID into the name of the pod's cgroup, by either of its cgroup drivers,
 * and a container runtime puts its containers below it. What stands before and below differs by
 * runtime, by cgroup version and by where this process stands: in a cgroup namespace of its own it sees
 * other pods as `/../../…`. So the pod is looked for anywhere in the path.
 *
 * Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/cm/pod_container_manager_linux.go
 * for the names, https://github.com/inspektor-gadget/inspektor-gadget/pull/3085 for cgroup namespaces
 *
 * @module
 */
import { join } from "node:path";
import { setNewest } from "#core/bounded-map.ts";
import { processOwnersMax, procFileBytesMax } from "#core/limits.ts";
import { readRegularFileSync } from "#core/regular-file.ts";

export type ProcessOwner =
  | { readonly kind: "pod"; readonly uid: string }
  /** In no pod, as a display server of the node. */
  | { readonly kind: "none" }
  /** Of MPS: how busy it is, its clients make it. */
  | { readonly kind: "mps-server" };

/** @returns `undefined` where that cannot be told, as for a process that is not to be seen. */
export type OwnerOf = (pid: number) => ProcessOwner | undefined;

/**
 * Remembers whose each process is for as long as it lives, by its start time: the kernel gives its number
 * to another one afterwards. What a process did shortly before it ended is still its pod's.
 *
 * @param root Where procfs of the node's own pid namespace is mounted.
 */
export function processOwners(root: string): OwnerOf {
  const known = new Map<number, { readonly startTime: string; readonly owner: ProcessOwner }>();
  const read = (pid: number, file: string) => {
    try {
      return readRegularFileSync(join(root, String(pid), file), procFileBytesMax);
    } catch {
      // It has ended, or this process must not see it: both are told by `undefined`.
      return undefined;
    }
  };
  return (pid) => {
    const startTime = startTimeIn(read(pid, "stat"));
    const before = known.get(pid);
    if (startTime === undefined) return before?.owner;
    if (before?.startTime === startTime) return before.owner;
    const cgroup = read(pid, "cgroup");
    if (cgroup === undefined) return undefined;
    const owner = ownerIn(cgroup, read(pid, "comm") ?? "");
    setNewest(known, pid, { startTime, owner }, processOwnersMax);
    return owner;
  };
}

/** The 22nd field; the second one, the program's name, may have spaces and parentheses. */
function startTimeIn(stat: string | undefined): string | undefined {
  const rest = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return rest?.[22 - 3];
}

/** `nvidia-cuda-mps-server`, of which the kernel keeps 15 characters. */
const mpsServer = "nvidia-cuda-mps";

function ownerIn(cgroup: string, comm: string): ProcessOwner {
  if (comm.trimEnd() === mpsServer) return { kind: "mps-server" };
  const uid = podUidIn(cgroup);
  return uid === undefined ? { kind: "none" } : { kind: "pod", uid };
}

/**
 * A part of a path that is a pod's: `pod<uid>` by cgroupfs, `…-pod<uid>.slice` by systemd, which writes
 * `_` for `-`. The UID of a pod that a file of the node defines is a digest.
 */
const podForm =
  /(?:^|\/|-)pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?:[/:]|$)/;

/** @param cgroup A line for each hierarchy, `4:memory:/kubepods/…`; of cgroup v2 there is one, `0::/…`. */
function podUidIn(cgroup: string): string | undefined {
  for (const line of cgroup.split("\n")) {
    const path = line.split(":").slice(2).join(":");
    // The outermost: a pod that runs containers of its own is the one that holds the device.
    const [, uid] = podForm.exec(path) ?? [];
    if (uid !== undefined) return uid.replaceAll("_", "-");
  }
  return undefined;
}
