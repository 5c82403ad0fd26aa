import { Fault } from "#core/fault.ts";
import type { Pod } from "#workload/pod.ts";
import type { DeviceShare, EngineShare } from "./answer.ts";
import type { Sight, Signal } from "./replica.ts";
import { listed } from "./words.ts";

/** A pod of the workload and its part in the answer. */
export type Replica = {
  readonly pod: Pod;
  readonly devices: readonly DeviceShare[];
  readonly engine?: EngineShare;
} & (
  | { readonly state: "warming" }
  | { readonly state: "counted"; readonly value: number }
  | { readonly state: "missing"; readonly reason: string; readonly sinceMs: number }
);

export interface Looking {
  readonly metric: string;
  /** For people. */
  readonly where: string;
  readonly signal: Signal;
  /** Remembers that a counted pod has a value. */
  readonly present: (pod: Pod) => void;
  /** Remembers that it has none; since when. */
  readonly missing: (pod: Pod) => number;
}

/**
 * Looks at every pod. One that warms up is not looked at: nobody sends it any work yet.
 *
 * @throws {Fault} `devices-unheld` when all is seen and no counted pod holds a device.
 */
export function replicasOf(pods: readonly Pod[], looking: Looking): readonly Replica[] {
  const seen = pods.map((pod) => ({
    pod,
    sight: pod.state === "warming" ? undefined : looking.signal(pod),
  }));
  const counted = seen.flatMap(({ pod, sight }) => (sight ? [{ pod, sight }] : []));
  if (counted.length > 0 && counted.every(({ sight }) => sight.state === "bare"))
    throw unheld(counted, looking);
  return seen.map(({ pod, sight }) =>
    sight === undefined ? { pod, state: "warming", devices: [] } : replica(pod, sight, looking),
  );
}

function replica(pod: Pod, sight: Sight, { present, missing }: Looking): Replica {
  const { devices, engine } = sight;
  const seen = { pod, devices, ...(engine === undefined ? {} : { engine }) };
  if (sight.state !== "known")
    return { ...seen, state: "missing", reason: sight.reason, sinceMs: missing(pod) };
  present(pod);
  return { ...seen, state: "counted", value: sight.value };
}

function unheld(
  counted: readonly { readonly pod: Pod; readonly sight: Sight }[],
  { metric, where }: Looking,
): Fault {
  const pods = counted.map(
    ({ pod, sight }) => `${pod.name}: ${sight.state === "bare" ? sight.reason : ""}`,
  );
  return new Fault(
    "devices-unheld",
    `Cannot answer ${metric} for ${where}: its pods hold none of the devices asked about ` +
      `(${listed(pods)}); let their containers request a GPU, or correct metadata gpuIndex, ` +
      "container or podSelector",
    { pods },
  );
}
