/**
 * What pods used of devices, from the reports of the nodes that they run on.
 *
 * @module
 */
import { holdersStaleMs, staleAfterMs } from "#core/limits.ts";
import { joulesBetween } from "#metric/energy.ts";
import { instanceShare } from "#metric/instance-share.ts";
import type { Holder } from "#telemetry/report.ts";
import type { FleetDevice, FleetNode } from "./view.ts";

/** What is needed of a node's report to know what its pods used. */
export interface MeteredNode
  extends Pick<FleetNode, "name" | "sampleIntervalMs" | "sampledAtMs" | "holdersAtMs"> {
  readonly devices: readonly MeteredDevice[];
}
type MeteredDevice = Pick<FleetDevice, "uuid" | "parentUuid" | "readings" | "holders" | "uses">;

/** A pod on a node, and its part of a device for a while. */
export interface PodDeviceUse {
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  /** Absent where neither the device's energy nor its power is known. */
  readonly joules?: number | undefined;
  /** For how long it held the device, of a shared one a part of that. */
  readonly deviceSeconds: number;
}

/**
 * What the pods of a node used between two of its reports: time and energy of the devices that they hold.
 * Of a shared device they have equal parts, of its energy those that their own processes use where the
 * node tells them apart.
 *
 * Time in which a device changed hands is nobody's, for nobody knows when it did; nor is time for which
 * the kubelet did not say who holds it. Time between two reports that are too far apart was not seen, and counts only as the
 * energy that a device's own counter tells.
 *
 * @param podUidOf Of pods that are known; the others divide what these leave of a device's energy.
 * @returns Several entries for a pod with several devices; none where nothing is known.
 */
export function podDeviceUse(
  before: MeteredNode,
  after: MeteredNode,
  podUidOf: PodUidOf = () => undefined,
): readonly PodDeviceUse[] {
  if (!knowsHolders(before) || !knowsHolders(after)) return [];
  const lengthMs = after.sampledAtMs - before.sampledAtMs;
  if (lengthMs <= 0) return [];
  const gapMs = staleAfterMs(after.sampleIntervalMs);
  const earlier = new Map(before.devices.map((device) => [device.uuid, device]));
  return after.devices.flatMap((device) => {
    const known = earlier.get(device.uuid);
    if (known === undefined || !hasSameHolders(device.holders, known.holders)) return [];
    const joules = joulesOf(device, { earlier, before, after, gapMs });
    const seconds = lengthMs > gapMs ? 0 : lengthMs / 1000;
    const pods = new Map(device.holders.map((one) => [`${one.namespace}/${one.pod}`, one]));
    const parts = energyParts(
      [...pods.values()],
      device,
      after.name,
      lengthMs > gapMs ? undefined : podUidOf,
    );
    return [...pods.values()].map(({ namespace, pod, sharedBy = 1 }, at) => ({
      node: after.name,
      namespace,
      pod,
      joules: joules === undefined ? undefined : joules * (parts[at] ?? 0),
      deviceSeconds: seconds / sharedBy,
    }));
  });
}

interface DeviceReports {
  readonly before: MeteredNode;
  readonly after: MeteredNode;
  /** The devices of the report before, by uuid. */
  readonly earlier: ReadonlyMap<string, MeteredDevice>;
  readonly gapMs: number;
}

/** The UID of a pod of a node; `undefined` while nobody has named it. */
export type PodUidOf = (
  pod: Pick<PodDeviceUse, "node" | "namespace" | "pod">,
) => string | undefined;

/** The parts of a device's energy, one for each of its pods. */
function energyParts(
  pods: readonly Holder[],
  { uses }: MeteredDevice,
  node: string,
  podUidOf: PodUidOf | undefined,
): readonly number[] {
  const shares = uses?.smPercent;
  const isShared = pods.every(({ sharedBy = 1 }) => sharedBy > 1);
  if (shares === undefined || podUidOf === undefined || !isShared)
    return pods.map(({ sharedBy = 1 }) => 1 / sharedBy);
  const known = pods.map(({ namespace, pod }) => {
    const uid = podUidOf({ node, namespace, pod });
    return uid === undefined ? undefined : (shares.get(uid) ?? 0);
  });
  const left = Math.max(0, 1 - known.reduce<number>((sum, part = 0) => sum + part, 0));
  const unknown = known.filter((part) => part === undefined).length;
  return known.map((part) => part ?? left / unknown);
}

/** What a device used, of a MIG instance its part of what its GPU used. */
function joulesOf(
  device: MeteredDevice,
  { before, after, earlier, gapMs }: DeviceReports,
): number | undefined {
  const { uuid, parentUuid, readings } = device;
  const whole =
    parentUuid === undefined ? device : after.devices.find((one) => one.uuid === parentUuid);
  const known = earlier.get(parentUuid ?? uuid);
  if (whole === undefined || known === undefined) return undefined;
  const joules = joulesBetween(
    { atMs: before.sampledAtMs, readings: known.readings },
    { atMs: after.sampledAtMs, readings: whole.readings },
    gapMs,
  );
  const share = parentUuid === undefined ? 1 : instanceShare(readings, whole.readings);
  return joules === undefined || share === undefined ? undefined : joules * share;
}

function knowsHolders({ holdersAtMs, sampledAtMs }: MeteredNode): boolean {
  return holdersAtMs !== undefined && sampledAtMs - holdersAtMs <= holdersStaleMs;
}

export function hasSameHolders(
  holders: readonly Holder[],
  before: readonly Holder[] = [],
): boolean {
  if (holders.length !== before.length) return false;
  // Runs for every device of every report, and the order is nearly always the same.
  const isSame = holders.every((holder, at) => nameOf(holder) === nameOf(before[at]));
  return isSame || namesOf(holders) === namesOf(before);
}

function namesOf(holders: readonly Holder[]): string {
  return holders.map(nameOf).sort().join();
}

function nameOf(holder: Holder | undefined): string {
  return holder === undefined ? "" : `${holder.namespace}/${holder.pod}/${holder.container}`;
}
