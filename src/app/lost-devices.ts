/**
 * Devices that were lost while pods of an object hold them.
 *
 * @module
 */
import { unlessFault } from "#core/fault.ts";
import type { FleetDevice, FleetView } from "#fleet/view.ts";
import type { EventObject } from "#kubernetes/events.ts";
import type { IdentifiedStatus } from "#observe/decision-log.ts";
import type { Problem } from "#observe/problems.ts";
import type { WorkloadView } from "#workload/workload.ts";

export interface LostDevicesSources {
  readonly view: FleetView;
  readonly workloads: WorkloadView;
  /** Which object has a trigger. */
  readonly objectOf: (status: IdentifiedStatus) => EventObject | undefined;
}

/** A device that only a reset or a new one brings back, and a pod that holds it. */
interface LostDevice {
  readonly device: FleetDevice;
  readonly namespace: string;
  readonly pod: string;
  readonly why: string;
}

/** For the triggers that count their workload's own devices. */
export function lostDevices(
  triggers: readonly IdentifiedStatus[],
  { view, workloads, objectOf }: LostDevicesSources,
): readonly Problem[] {
  const lost = [...view.nodes.values()].flatMap(({ devices }) => devices.flatMap(heldThoughLost));
  if (lost.length === 0) return [];
  return triggers.flatMap((status) => {
    const { namespace, name, scalerMetadata } = status.ref;
    const near = lost.filter((one) => one.namespace === namespace);
    if (near.length === 0 || (status.trigger?.scope ?? "workload") !== "workload") return [];
    const workload = unlessFault(() => workloads.of(namespace, name, scalerMetadata));
    const own = new Set(workload?.pods.map((pod) => pod.name));
    const object = objectOf(status);
    return object === undefined
      ? []
      : near.filter(({ pod }) => own.has(pod)).map((one) => problemOf(one, object));
  });
}

function heldThoughLost(device: FleetDevice): readonly LostDevice[] {
  const { health, holders } = device;
  if (health.state !== "lost" && health.state !== "reset-required") return [];
  const why = `${health.state}: ${health.reason}`;
  return holders.map(({ namespace, pod }) => ({ device, namespace, pod, why }));
}

function problemOf({ device, pod, why }: LostDevice, object: EventObject): Problem {
  const { uuid, node } = device;
  const message = `Pod ${pod} holds ${uuid} of node ${node}, which is ${why}`;
  return { object, code: "gpu-lost", reason: "GpuLost", source: `${uuid} ${pod}`, message };
}
