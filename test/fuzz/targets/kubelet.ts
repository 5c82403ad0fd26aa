/**
 * What the kubelet says of who holds which device: its ids come from device plugins of anybody.
 *
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ListPodResourcesResponse,
  ListPodResourcesResponseSchema,
} from "#gen/podresources/v1/podresources_pb.ts";
import type { DeviceIdentity } from "#metric/sample.ts";
import { attribute, orderAllocations } from "#node/attribution.ts";
import { draDeviceRef, pluginDeviceRef } from "#node/device-id.ts";
import { allocationsOf, type DeviceAllocation } from "#node/pod-resources.ts";
import { mutateText } from "../mutate-bytes.ts";
import { mutateProtobuf } from "../mutate-protobuf.ts";
import { promise, promiseEqual, type Target } from "../target.ts";

const gpu = "GPU-5c1e0000-0000-0000-0000-000000000000";
const ids = [
  gpu,
  `${gpu}::3`,
  "MIG-11110000-0000-0000-0000-000000000000",
  `MIG-${gpu}/1/0`,
  "nvidia0",
  "nvidia0/gi1",
  "nvidia0/vgpu2",
  "gpu-0",
  "gpu-1-mig-1g10gb-19-0",
  "gpu-0-128",
  "0000:3b:00.0",
  "0000:3b:00.0-slice-2",
  "tegra",
  "all",
] as const;
const resources = [
  "nvidia.com/gpu",
  "nvidia.com/gpu.shared",
  "nvidia.com/mig-1g.10gb",
  "amd.com/gpu",
  "gpu.nvidia.com",
  "gpu.amd.com",
  "example.com/nic",
] as const;

const whole = { vendor: "nvidia", model: "H100" } as const;
const devices: readonly DeviceIdentity[] = [
  { ...whole, uuid: gpu, index: 0, minor: 0, pciBusId: "0000:3b:00.0" },
  { ...whole, uuid: "GPU-2", index: 1, minor: 1, pciBusId: "0000:4b:00.0" },
  {
    ...whole,
    uuid: "MIG-11110000-0000-0000-0000-000000000000",
    index: 2,
    parentUuid: "GPU-2",
    slice: { gpuInstance: 1, computeInstance: 0, profile: 19, placementStart: 0 },
  },
  { vendor: "amd", model: "MI300X", uuid: "amd-1", index: 3, minor: 128, isPartitioned: true },
];

function answer(pods: readonly (readonly [namespace: string, pod: string, id: string])[]): Buffer {
  const podResources = pods.map(([namespace, name, id], at) => ({
    namespace,
    name,
    containers: [
      {
        name: "main",
        devices: [{ resourceName: resources[at % 4] ?? "", deviceIds: [id] }],
        dynamicResources: [
          {
            claimNamespace: namespace,
            claimName: "claim",
            claimResources: [{ driverName: "gpu.nvidia.com", deviceName: "gpu-1", shareId: "a" }],
          },
        ],
      },
    ],
  }));
  const message = create(ListPodResourcesResponseSchema, { podResources });
  return Buffer.from(toBinary(ListPodResourcesResponseSchema, message));
}

export const kubeletTarget: Target = {
  name: "kubelet",
  testInputs: 1_800,
  share: 150_000,
  corpus: () => [
    answer([]),
    answer(ids.map((id, at) => [`team-${at % 3}`, `pod-${at % 5}`, id])),
    ...ids.map((id) =>
      answer([
        ["team-a", "pod-a", id],
        ["team-b", "pod-b", id],
      ]),
    ),
  ],
  mutate: mutateProtobuf(ListPodResourcesResponseSchema, [...ids, ...resources, "team-a", "pod-a"]),
  run: (input) => {
    const message = messageIn(input);
    if (message === undefined) return "no message";
    const listed = allocationsOf(message);
    const first = orderAllocations([], listed.slice(0, listed.length / 2));
    const ordered = orderAllocations(first, listed);
    promise(ordered.length === listed.length, () => "each allocation has an order");
    const given = attribute(devices, ordered);
    promiseEqual(attribute(devices, ordered), given, "the same of the same");
    checkHolders(given.holders, listed);
    const { unmatchedIds, foreignIds, superseded } = given;
    promise(unmatchedIds.length + foreignIds <= listed.length, () => "each id is counted once");
    const pods = new Set(listed.map(podName));
    promise(
      superseded.every((name) => pods.has(name)),
      () => `lost by a pod: ${superseded}`,
    );
    const held = [...given.holders].map(
      ([uuid, holders]) => `${uuid.slice(0, 5)} ${holders.length}`,
    );
    return `${held} ${unmatchedIds.length > 0} ${foreignIds > 0} ${superseded.length}`;
  },
};

/** What is no message is the library's to refuse, and the last answer stays. */
function messageIn(input: Buffer): ListPodResourcesResponse | undefined {
  try {
    return fromBinary(ListPodResourcesResponseSchema, input);
  } catch {
    return undefined;
  }
}

const podName = ({ namespace, pod }: Pick<DeviceAllocation, "namespace" | "pod">) =>
  `${namespace}/${pod}`;

/** Nobody holds a device but who is listed with one, and no device that is not there is held. */
function checkHolders(
  held: ReturnType<typeof attribute>["holders"],
  listed: readonly DeviceAllocation[],
): void {
  const containers = new Set(listed.map((one) => `${podName(one)}/${one.container}`));
  const pods = new Set(listed.map(podName)).size;
  for (const [uuid, holders] of held) {
    promise(
      devices.some((device) => device.uuid === uuid),
      () => `a device is there: ${uuid}`,
    );
    promise(holders.length > 0, () => `a device that is held has a holder: ${uuid}`);
    for (const { namespace, pod, container, sharedBy } of holders) {
      const name = `${podName({ namespace, pod })}/${container}`;
      promise(containers.has(name), () => `${name} is listed`);
      promise(sharedBy === undefined || (sharedBy >= 1 && sharedBy <= pods), () => `${sharedBy}`);
    }
  }
}

export const deviceIdTarget: Target = {
  name: "device-id",
  testInputs: 6_000,
  share: 150_000,
  corpus: () => ids.map((id) => Buffer.from(id)),
  mutate: mutateText([...ids, "::", "/", "-slice-", "/gi", "/vgpu", "mig-"]),
  run: (input) => {
    const id = input.toString("latin1");
    const refs = resources.map((resource) => pluginDeviceRef(resource, id));
    const drivers = resources.map((driver) => draDeviceRef(driver, id, undefined));
    for (const ref of [...refs, ...drivers]) {
      if (ref === undefined) continue;
      for (const number of Object.values(ref))
        promise(typeof number !== "number" || number >= 0, () => `a number of ${id}: ${number}`);
      promise(ref.by !== "uuid" || id.startsWith(ref.uuid), () => `a part of ${id}: ${ref}`);
    }
    return [...refs, ...drivers].map((ref) => ref?.by ?? "").join(",");
  },
};
