import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processOwners } from "#node/process-owners.ts";

const root = mkdtempSync(join(tmpdir(), "proc-"));
afterAll(() => rmSync(root, { recursive: true }));

interface Process {
  readonly cgroup?: string;
  readonly comm?: string;
  readonly startTime?: number;
}

/** Plays a process as procfs has it; a name may have all that `stat` is hard to read for. */
function run(
  pid: number,
  { cgroup = "0::/init.scope\n", comm = "python3", startTime = 1_000 }: Process,
) {
  const folder = join(root, String(pid));
  mkdirSync(folder, { recursive: true });
  const before = "S 1 1 1 0 -1 4194560 9 0 0 0 5 6 0 0 20 0 1 0";
  writeFileSync(
    join(folder, "stat"),
    `${pid} (${comm}) ${before} ${startTime} 4096 9 18446744073709551615\n`,
  );
  writeFileSync(join(folder, "cgroup"), cgroup);
  writeFileSync(join(folder, "comm"), `${comm.slice(0, 15)}\n`);
}
const end = (pid: number) => rmSync(join(root, String(pid)), { recursive: true, force: true });

const uid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
const escaped = uid.replaceAll("-", "_");
const id = "d7dfb4a21fe1703a8537e60d5af248af729315d187b24a538102d14874c8117d";
const burstable = `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${escaped}.slice`;

beforeEach(() => end(100));

describe("a process is its pod's:", () => {
  test.each([
    ["containerd, systemd, v2", `0::/${burstable}/cri-containerd-${id}.scope`],
    ["CRI-O, systemd, v2", `0::/${burstable}/crio-${id}.scope/container`],
    ["cri-dockerd, systemd, v2", `0::/${burstable}/docker-${id}.scope`],
    [
      "a guaranteed pod, which has no level",
      `0::/kubepods.slice/kubepods-pod${escaped}.slice/cri-containerd-${id}.scope`,
    ],
    ["containerd, cgroupfs, v2", `0::/kubepods/besteffort/pod${uid}/${id}`],
    ["cri-dockerd, cgroupfs, guaranteed", `0::/kubepods/pod${uid}/${id}`],
    [
      "containerd, cgroupfs, v1",
      `12:pids:/kubepods/burstable/pod${uid}/${id}\n1:name=systemd:/kubepods/burstable/pod${uid}/${id}`,
    ],
    ["v1, a hierarchy without it first", `12:rdma:/\n4:memory:/${burstable}/crio-${id}.scope`],
    ["v1, a systemd unit with a colon", `1:name=systemd:/kubepods/pod${uid}/${id}:x`],
    [
      "v1, containerd without CRI's prefix",
      `3:cpu,cpuacct:/system.slice/containerd.service/kubepods-burstable-pod${escaped}.slice:cri-containerd:${id}`,
    ],
    [
      "kind, systemd",
      `0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${escaped}.slice/cri-containerd-${id}.scope`,
    ],
    ["kind, cgroupfs, in Docker", `0::/docker/${id}/kubelet/kubepods/burstable/pod${uid}/${id}`],
    [
      "another pod, seen from a cgroup namespace",
      `0::/../../kubepods-burstable-pod${escaped}.slice/cri-containerd-${id}.scope`,
    ],
    ["cgroupfs, seen from a cgroup namespace", `0::/../../../besteffort/pod${uid}/${id}`],
    ["a container that a pod runs itself", `0::/kubepods/pod${uid}/${id}/docker/${id}`],
    ["a pod in a pod", `0::/kubepods/pod${uid}/${id}/kubepods/pod${uid.replace("3f", "4f")}/${id}`],
  ])("%s", (_which, cgroup) => {
    run(100, { cgroup: `${cgroup}\n` });
    expect(processOwners(root)(100)).toEqual({ kind: "pod", uid });
  });

  test("a pod that a file of the node defines has a digest for a UID", () => {
    const digest = "0123456789abcdef0123456789abcdef";
    run(100, { cgroup: `0::/kubepods/burstable/pod${digest}/${id}\n` });
    expect(processOwners(root)(100)).toEqual({ kind: "pod", uid: digest });
  });

  test.each(["tricky) name (1", "a b c", ")) 5 6 7"])("whatever its name, as %j", (comm) => {
    run(100, { comm, cgroup: `0::/kubepods/pod${uid}/${id}\n`, startTime: 1 });
    const ownerOf = processOwners(root);
    expect(ownerOf(100)).toEqual({ kind: "pod", uid });
    run(100, { comm, startTime: 2 });
    expect(ownerOf(100)).toEqual({ kind: "none" });
  });
});

describe("a process is no pod's:", () => {
  test.each([
    ["a service of the node", "0::/system.slice/display-manager.service"],
    ["a session", "0::/user.slice/user-1000.slice/session-2.scope"],
    ["a container of podman", `0::/machine.slice/libpod-${id}.scope`],
    ["a container of Docker", `0::/docker/${id}`],
    ["a unit whose name only looks alike", "0::/system.slice/ipod-sync.service"],
    ["a name that ends in a UID", `0::/system.slice/tripod${uid}/x`],
    ["nothing", ""],
  ])("%s", (_which, cgroup) => {
    run(100, { cgroup: `${cgroup}\n` });
    expect(processOwners(root)(100)).toEqual({ kind: "none" });
  });

  test("a server of MPS, whichever pod it runs in", () => {
    run(100, { comm: "nvidia-cuda-mps-server", cgroup: `0::/kubepods/pod${uid}/${id}\n` });
    expect(processOwners(root)(100)).toEqual({ kind: "mps-server" });
  });
});

describe("whose a process is", () => {
  const inPod = { cgroup: `0::/kubepods/pod${uid}/${id}\n` };

  test("is not known of one that is not there", () => {
    expect(processOwners(root)(100)).toBeUndefined();
  });
  test("is still known just after it ended", () => {
    run(100, inPod);
    const ownerOf = processOwners(root);
    ownerOf(100);
    end(100);
    expect(ownerOf(100)).toEqual({ kind: "pod", uid });
  });
  test("is looked up again when its number went to another process", () => {
    run(100, inPod);
    const ownerOf = processOwners(root);
    ownerOf(100);
    run(100, { startTime: 2_000 });
    expect(ownerOf(100)).toEqual({ kind: "none" });
  });
  test("is not looked up again while it lives", () => {
    run(100, inPod);
    const ownerOf = processOwners(root);
    ownerOf(100);
    run(100, {});
    expect(ownerOf(100)).toEqual({ kind: "pod", uid });
  });
});
