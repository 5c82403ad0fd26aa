/**
 * Nodes and their devices: what is free, who holds what, and how busy a device looks.
 *
 * @module
 */
import type { ServingReplica } from "./replica.ts";
import type { ClusterModel, ReplicaModel } from "./scenario.ts";

export interface Device {
  readonly number: number;
  readonly node: number;
  /** Position on its node. */
  readonly index: number;
  /** The number of the whole device that this is a slice of. */
  readonly parent?: number;
  /** Whether it was cut into slices, so that nobody can hold it whole. */
  readonly isSliced: boolean;
  readonly memoryMib: number;
  /** The replica's name would not do: the pods of a group are holders of their own. */
  readonly holders: Set<Holding>;
}

/** A pod's hold on a device. */
export interface Holding {
  readonly replica: ServingReplica;
  /** Which pod of the replica. */
  readonly pod: number;
}

export interface Cluster {
  /** By node. */
  readonly nodes: readonly (readonly Device[])[];
  /** Finds room for every pod of a replica, or for none. @returns Whether there was room. */
  readonly place: (replica: ServingReplica, pods: number) => boolean;
  readonly release: (replica: ServingReplica) => void;
  /** Which part of its devices a replica has while others that hold them are busy too. */
  readonly speedOf: (replica: ServingReplica) => number;
  /** Percent: the sum of what its holders do, up to the whole device. */
  readonly utilizationOf: (device: Device) => number;
  readonly memoryUsedMib: (device: Device) => number;
}

export function cluster(
  model: ClusterModel,
  { gpus, saturatedAt, memoryMib }: ReplicaModel,
): Cluster {
  const nodes = devicesOf(model);
  const devices = nodes.flat();
  const isFree = ({ isSliced, holders }: Device) =>
    !isSliced && holders.size < (model.slicesPerGpu > 0 ? 1 : model.podsPerGpu);

  /** The node with the most room, as the scheduler spreads; devices with the fewest holders. */
  const room = (): readonly Device[] | undefined => {
    let best: readonly Device[] = [];
    for (const own of nodes) {
      const free = own.filter(isFree);
      if (free.length > best.length) best = free;
    }
    if (best.length < gpus) return undefined;
    return best.toSorted((one, other) => one.holders.size - other.holders.size).slice(0, gpus);
  };

  const release = (replica: ServingReplica) => {
    for (const held of replica.devices)
      for (const number of held) {
        const holders = devices[number]?.holders;
        for (const holding of holders ?? [])
          if (holding.replica === replica) holders?.delete(holding);
      }
    replica.devices = [];
    replica.nodes = [];
  };

  return {
    nodes,
    place: (replica, pods) => {
      for (let pod = 0; pod < pods; pod += 1) {
        const found = room();
        if (found === undefined) {
          release(replica);
          return false;
        }
        for (const { holders } of found) holders.add({ replica, pod });
        replica.nodes = [...replica.nodes, found[0]?.node ?? 0];
        replica.devices = [...replica.devices, found.map(({ number }) => number)];
      }
      return true;
    },
    release,
    speedOf: (replica) => {
      if (model.podsPerGpu === 1) return 1;
      let most = 1;
      for (const number of replica.devices.flat())
        most = Math.max(most, busyHolders(devices[number], replica));
      return 1 / most;
    },
    utilizationOf: ({ holders }) => {
      let share = 0;
      for (const { replica } of holders) share += Math.min(1, replica.busyShare / saturatedAt);
      return 100 * Math.min(1, share);
    },
    memoryUsedMib: ({ holders, memoryMib: all }) => {
      let used = model.driverMemoryMib;
      for (const { replica } of holders) if (replica.phase !== "pending") used += memoryMib;
      return Math.min(all, used);
    },
  };
}

/** How many use a device at once when this one does. */
function busyHolders(device: Device | undefined, user: ServingReplica): number {
  let busy = 0;
  for (const { replica } of device?.holders ?? [])
    if (replica === user || replica.engine.running() > 0) busy += 1;
  return busy;
}

function devicesOf(model: ClusterModel): Device[][] {
  const { nodes, gpusPerNode, slicesPerGpu, gpuMemoryMib } = model;
  let number = 0;
  const device = (node: number, index: number, parent?: number): Device => {
    const isSliced = parent === undefined && slicesPerGpu > 0;
    const memoryMib = parent === undefined ? gpuMemoryMib : Math.floor(gpuMemoryMib / slicesPerGpu);
    const made = { number, node, index, isSliced, memoryMib, holders: new Set<Holding>() };
    number += 1;
    return parent === undefined ? made : { ...made, parent };
  };
  return Array.from({ length: nodes }, (_none, node) =>
    Array.from({ length: gpusPerNode }, (_no, index) => {
      const whole = device(node, index);
      const slices = Array.from({ length: slicesPerGpu }, () => device(node, index, whole.number));
      return [whole, ...slices];
    }).flat(),
  );
}
