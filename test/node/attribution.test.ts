import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DeviceIdentity } from "#metric/sample.ts";
import { attribute, orderAllocations } from "#node/attribution.ts";
import type { DeviceAllocation } from "#node/pod-resources.ts";

const uuid = (digit: number) => `GPU-${digit}0000000-0000-0000-0000-000000000000`;
const gpu = (index: number, changes: Partial<DeviceIdentity> = {}): DeviceIdentity => ({
  uuid: uuid(index),
  index,
  minor: index,
  vendor: "nvidia",
  model: "H100",
  ...changes,
});
const slice = (gpuInstance: number, placementStart: number): DeviceIdentity =>
  gpu(0, {
    uuid: `MIG-${gpuInstance}0000000-0000-0000-0000-000000000000`,
    parentUuid: uuid(0),
    slice: { gpuInstance, computeInstance: 0, profile: 19, placementStart },
  });
/** GPU 0 is cut into two slices; GPU 1 has minor 3, as when a card was taken out. */
const devices = [gpu(0), gpu(1, { minor: 3 }), slice(7, 0), slice(8, 1)];
const [cut, whole, first, second] = devices.map((device) => device.uuid);

const claim = (
  pod: string,
  id: string,
  changes: Partial<DeviceAllocation> = {},
): DeviceAllocation => ({
  namespace: "default",
  pod,
  container: "main",
  resource: "nvidia.com/gpu",
  id,
  ...changes,
});
const dra = (pod: string, id: string, resourceClaim: string, shareId?: string): DeviceAllocation =>
  claim(pod, id, {
    resource: "gpu.nvidia.com",
    resourceClaim,
    ...(shareId === undefined ? {} : { shareId }),
  });

/** Looks at the lists one after the other, as the agent does; tells of the last one. */
function look(...lists: readonly (readonly DeviceAllocation[])[]) {
  const ranked = lists.reduce<ReturnType<typeof orderAllocations>>(orderAllocations, []);
  const { holders, ...rest } = attribute(devices, ranked);
  const pods = new Map(
    [...holders].map(([device, held]) => [
      device,
      held.map(({ pod, sharedBy }) => (sharedBy === undefined ? pod : `${pod} of ${sharedBy}`)),
    ]),
  );
  return { holders: Object.fromEntries(pods), full: holders, ...rest };
}

describe("attribute() finds the device of", () => {
  test.each<[string, DeviceAllocation, string | undefined]>([
    ["a GPU's uuid", claim("p", uuid(1)), whole],
    ["a slice's uuid", claim("p", first ?? ""), first],
    ["an old slice's id", claim("p", `MIG-${uuid(0)}/8/0`), second],
    ["GKE's minor, which is not the index", claim("p", "nvidia3"), whole],
    ["GKE's slice", claim("p", "nvidia0/gi7"), first],
    ["a DRA GPU", dra("p", "gpu-3", "default/c"), whole],
    ["a DRA slice", dra("p", "gpu-0-mig-1g.10gb-19-1", "default/c"), second],
  ])("%s", (_form, one, device) => {
    const { holders, unmatchedIds } = look([one]);
    expect(holders).toEqual({ [device ?? ""]: ["p"] });
    expect(unmatchedIds).toEqual([]);
  });

  test("an old slice's id that the driver itself gives as the slice's uuid", () => {
    const old = gpu(0, { uuid: `MIG-${uuid(0)}/3/0`, parentUuid: uuid(0) });
    const { holders } = attribute([old], orderAllocations([], [claim("p", old.uuid)]));
    expect([...holders.keys()]).toEqual([old.uuid]);
  });

  test("Tegra's only name: every whole device", () => {
    expect(look([claim("p", "tegra")]).holders).toEqual({
      [cut ?? ""]: ["p"],
      [whole ?? ""]: ["p"],
    });
  });
});

describe("attribute() knows an AMD GPU", () => {
  const amd: DeviceIdentity = {
    uuid: "amd-9f3c0d1e2b4a5968",
    index: 0,
    minor: 128,
    pciBusId: "0000:c1:00.0",
    vendor: "amd",
    model: "MI300X",
  };
  const plugin = (pod: string, id: string) => claim(pod, id, { resource: "amd.com/gpu" });
  const amdDra = claim("p", "gpu-1-128", { resource: "gpu.amd.com", resourceClaim: "default/c" });
  const heldBy = (device: DeviceIdentity, ...list: readonly DeviceAllocation[]) => {
    const { holders, unmatchedIds } = attribute([device], orderAllocations([], list));
    const held = holders.get(device.uuid) ?? [];
    return { held: held.map(({ pod, sharedBy }) => [pod, sharedBy]), unmatchedIds };
  };

  test("by its address, from the device plugin", () => {
    expect(heldBy(amd, plugin("p", "0000:c1:00.0"), plugin("q", "0000:c2:00.0"))).toEqual({
      held: [["p", undefined]],
      unmatchedIds: ["0000:c2:00.0"],
    });
  });

  test("by its render node, from the DRA driver", () => {
    expect(heldBy(amd, amdDra).held).toEqual([["p", undefined]]);
  });

  test("that pods share by time slices", () => {
    const slices = [plugin("p", "0000:c1:00.0-slice-0"), plugin("q", "0000:c1:00.0-slice-1")];
    expect(heldBy(amd, ...slices).held).toEqual([
      ["p", 2],
      ["q", 2],
    ]);
  });

  test("and not the partition that has its names, for the readings are of the whole", () => {
    const divided = { ...amd, isPartitioned: true } as const;
    expect(heldBy(divided, plugin("p", "0000:c1:00.0"), amdDra)).toEqual({
      held: [],
      unmatchedIds: ["0000:c1:00.0", "gpu-1-128"],
    });
  });
});

describe("attribute() names no holder", () => {
  test("for an id that fits no device of the node, and says which", () => {
    const gone = claim("p", uuid(9));
    const { holders, unmatchedIds } = look([gone, claim("p", "nvidia0/gi1")]);
    expect(holders).toEqual({});
    expect(unmatchedIds).toEqual([uuid(9), "nvidia0/gi1"]);
  });

  test("for a slice on a driver that does not number its slices: the GPU is not the slice", () => {
    const { slice: _numbers, ...unnumbered } = slice(7, 0);
    const known = [gpu(0), unnumbered];
    const { holders } = attribute(known, orderAllocations([], [claim("p", "nvidia0/gi7")]));
    expect(holders.size).toBe(0);
  });

  test("for other things that pods hold, and counts them", () => {
    const others = [claim("p", "0000:3b:00.0"), dra("p", "channel-0", "default/c")];
    expect(look(others)).toMatchObject({ holders: {}, unmatchedIds: [], foreignIds: 2 });
  });
});

describe("a device reported for two pods", () => {
  test.each([
    ["ended", "running"],
    ["running", "ended"],
  ])("is held by both, unshared, when the first look had both: %s before %s", (one, other) => {
    const { holders, superseded } = look([claim(one, uuid(1)), claim(other, uuid(1))]);
    expect(holders).toEqual({ [whole ?? ""]: [one, other] });
    expect(superseded).toEqual([]);
  });

  test("is held by one that came after both of a first look", () => {
    const both = [claim("running", uuid(1)), claim("ended", uuid(1))];
    const { holders, superseded } = look(both, [claim("next", uuid(1)), ...both]);
    expect(holders).toEqual({ [whole ?? ""]: ["next"] });
    expect(superseded).toEqual(["default/running", "default/ended"]);
  });

  test("is held by the one seen later, wherever the list has it", () => {
    const ended = claim("ended", uuid(1));
    const running = claim("running", uuid(1));
    expect(look([ended], [running, ended]).holders).toEqual({ [whole ?? ""]: ["running"] });
    expect(look([ended], [running, ended], [ended, running]).holders).toEqual({
      [whole ?? ""]: ["running"],
    });
    expect(look([ended], [running, ended], [ended]).holders).toEqual({ [whole ?? ""]: ["ended"] });
  });

  test("is held by all containers of one pod, without being shared", () => {
    const { full } = look([
      claim("p", uuid(1), { container: "sidecar" }),
      claim("p", uuid(1), { container: "server" }),
    ]);
    expect(full.get(whole ?? "")).toEqual([
      { namespace: "default", pod: "p", container: "sidecar" },
      { namespace: "default", pod: "p", container: "server" },
    ]);
  });

  test("is not confused by pods of one name in two namespaces", () => {
    const other = claim("p", uuid(1), { namespace: "other" });
    expect(look([claim("p", uuid(1))], [other, claim("p", uuid(1))]).full.get(whole ?? "")).toEqual(
      [{ namespace: "other", pod: "p", container: "main" }],
    );
  });
});

describe("a shared device", () => {
  test("has all pods that hold a part of it, each told how many they are", () => {
    const { holders } = look([
      claim("a", `${uuid(1)}::0`),
      claim("b", `${uuid(1)}::1`),
      claim("b", `${uuid(1)}::2`),
    ]);
    expect(holders).toEqual({ [whole ?? ""]: ["a of 2", "b of 2"] });
  });

  test("says so even while one pod is alone on it", () => {
    expect(look([claim("a", "nvidia3/vgpu0")]).holders).toEqual({ [whole ?? ""]: ["a of 1"] });
  });

  test("is known by its resource too", () => {
    const shared = { resource: "nvidia.com/gpu.shared" };
    expect(look([claim("a", uuid(1), shared), claim("b", uuid(1), shared)]).holders).toEqual({
      [whole ?? ""]: ["a of 2", "b of 2"],
    });
  });

  test("gives each part to one pod: the one seen later", () => {
    const { holders, superseded } = look(
      [claim("ended", `${uuid(1)}::0`), claim("b", `${uuid(1)}::1`)],
      [claim("a", `${uuid(1)}::0`), claim("ended", `${uuid(1)}::0`), claim("b", `${uuid(1)}::1`)],
    );
    expect(holders).toEqual({ [whole ?? ""]: ["a of 2", "b of 2"] });
    expect(superseded).toEqual(["default/ended"]);
  });

  test("counts a part once that the first look had in two pods", () => {
    const { holders } = look([
      claim("ended", `${uuid(1)}::0`),
      claim("a", `${uuid(1)}::0`),
      claim("b", `${uuid(1)}::1`),
    ]);
    expect(holders).toEqual({ [whole ?? ""]: ["ended of 2", "a of 2", "b of 2"] });
  });

  test("by one ResourceClaim has all its pods", () => {
    const together = [dra("a", "gpu-3", "default/c"), dra("b", "gpu-3", "default/c")];
    expect(look(together).holders).toEqual({ [whole ?? ""]: ["a of 2", "b of 2"] });
    expect(
      look([dra("a", "gpu-3", "default/c", "s1"), dra("b", "gpu-3", "default/d", "s2")]).holders,
    ).toEqual({ [whole ?? ""]: ["a of 2", "b of 2"] });
  });

  test("that was a pod's own before is shared by those who came later, and the reverse", () => {
    const own = claim("own", uuid(1));
    const part = claim("part", `${uuid(1)}::0`);
    expect(look([own], [own, part]).holders).toEqual({ [whole ?? ""]: ["part of 1"] });
    expect(look([part], [part, own]).holders).toEqual({ [whole ?? ""]: ["own"] });
  });
});

describe("a claim with admin access beside another's", () => {
  const monitor = dra("monitor", "gpu-3", "monitoring/all");
  const one = dra("a", "gpu-3", "default/c");

  test.each<[string, readonly DeviceAllocation[][]]>([
    ["comes later", [[one], [one, monitor]]],
    ["was there before", [[monitor], [monitor, one]]],
    ["is seen at the same time", [[monitor, one]]],
  ])("leaves the device a pod's own when it %s", (_when, lists) => {
    const { holders, superseded } = look(...lists);
    expect(holders[whole ?? ""]?.toSorted()).toEqual(["a", "monitor"]);
    expect(superseded).toEqual([]);
  });

  test("is not one of those that share the other claim", () => {
    const { holders } = look(
      [one, dra("b", "gpu-3", "default/c")],
      [monitor, one, dra("b", "gpu-3", "default/c")],
    );
    expect(holders).toEqual({ [whole ?? ""]: ["monitor", "a of 2", "b of 2"] });
  });

  test("is not one of those that hold parts", () => {
    const parts = [dra("a", "gpu-3", "default/c", "s1"), dra("b", "gpu-3", "default/d", "s2")];
    expect(look(parts, [...parts, monitor]).holders).toEqual({
      [whole ?? ""]: ["a of 2", "b of 2", "monitor"],
    });
  });

  test("does not take the device from a device plugin's pod", () => {
    expect(look([claim("p", uuid(1))], [claim("p", uuid(1)), monitor]).holders).toEqual({
      [whole ?? ""]: ["p", "monitor"],
    });
  });
});

test("an unshared device goes to the pod that was seen last, whatever the kubelet lists", () => {
  const pods = fc.constantFrom("a", "b", "c", "d");
  const ids = fc.constantFrom(uuid(1), "nvidia3", "nvidia0", first ?? "", "nvidia0/gi7");
  const claims = fc.tuple(pods, ids).map(([pod, id]) => claim(pod, id));
  fc.assert(
    // One pod more with each look: which is the newest is always known.
    fc.property(fc.array(claims, { minLength: 1 }), (all) => {
      const lists = all.map((_, at) => all.slice(0, at + 1).toReversed());
      for (const held of look(...lists).full.values()) {
        expect(new Set(held.map(({ pod }) => pod)).size).toBe(1);
        expect(held.every(({ sharedBy }) => sharedBy === undefined)).toBe(true);
      }
    }),
  );
});
