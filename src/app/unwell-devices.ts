/**
 * Devices that are not well while pods of an object hold them.
 *
 * @module
 */
import { unlessFault } from "#core/fault.ts";
import type { FleetDevice, FleetView } from "#fleet/view.ts";
import type { EventObject } from "#kubernetes/events.ts";
import type { ConditionKind, DeviceHealth } from "#metric/sample.ts";
import type { IdentifiedStatus } from "#observe/decision-log.ts";
import type { Problem } from "#observe/problems.ts";
import type { WorkloadView } from "#workload/workload.ts";

export interface UnwellDevicesSources {
  readonly view: FleetView;
  readonly workloads: WorkloadView;
  /** Which object has a trigger. */
  readonly objectOf: (status: IdentifiedStatus) => EventObject | undefined;
}

type Named = Pick<Problem, "code" | "reason">;
type UnwellState = Exclude<DeviceHealth["state"], "ok">;

const lost: Named = { code: "gpu-lost", reason: "GpuLost" };
/** Only a reset or another device brings back what is lost; one that fails may be well again. */
const ofStates: Readonly<Record<UnwellState, Named>> = {
  lost,
  "reset-required": lost,
  failing: { code: "gpu-failing", reason: "GpuFailing" },
};
/** What somebody has to act on while its readings stand. Slowdowns come and go, and need no event. */
const serious: readonly ConditionKind[] = ["row-remap-failed", "recovery-action"];
const degraded: Named = { code: "gpu-degraded", reason: "GpuDegraded" };

/** What is wrong with a device, and a pod that holds it. */
interface HeldProblem extends Named {
  readonly device: FleetDevice;
  readonly namespace: string;
  readonly pod: string;
  readonly why: string;
}

/** For the triggers that count their workload's own devices. */
export function unwellDevices(
  triggers: readonly IdentifiedStatus[],
  { view, workloads, objectOf }: UnwellDevicesSources,
): readonly Problem[] {
  const unwell = [...view.nodes.values()].flatMap(({ devices }) =>
    devices.flatMap(heldThoughUnwell),
  );
  if (unwell.length === 0) return [];
  return triggers.flatMap((status) => {
    const { namespace, name, scalerMetadata } = status.ref;
    const near = unwell.filter((one) => one.namespace === namespace);
    if (near.length === 0 || (status.trigger?.scope ?? "workload") !== "workload") return [];
    const workload = unlessFault(() => workloads.of(namespace, name, scalerMetadata));
    const own = new Set(workload?.pods.map((pod) => pod.name));
    const object = objectOf(status);
    return object === undefined
      ? []
      : near.filter(({ pod }) => own.has(pod)).map((one) => problemOf(one, object));
  });
}

function heldThoughUnwell(device: FleetDevice): readonly HeldProblem[] {
  const problem = worstOf(device);
  if (problem === undefined) return [];
  return device.holders.map(({ namespace, pod }) => ({ ...problem, device, namespace, pod }));
}

/** Of a device that has several, its health goes first. */
function worstOf({ health, conditions }: FleetDevice): (Named & { why: string }) | undefined {
  if (health.state !== "ok")
    return { ...ofStates[health.state], why: `${health.state}: ${health.reason}` };
  const found = conditions.filter(({ kind }) => serious.includes(kind));
  if (found.length === 0) return undefined;
  return { ...degraded, why: found.map(({ kind, detail }) => `${kind}: ${detail}`).join("; ") };
}

function problemOf({ device, pod, why, code, reason }: HeldProblem, object: EventObject): Problem {
  const { uuid, node } = device;
  const message = `Pod ${pod} holds ${uuid} of node ${node}, which is ${why}`;
  return { object, code, reason, source: `${uuid} ${pod}`, message };
}
