/**
 * Which devices belong to the job or container that this process runs in, as its scheduler says it in
 * the environment.
 *
 * Sources: Slurm's sbatch(1) and gres.conf(5), whose ids are the numbers of `/dev/nvidia<N>`;
 * flux-core, src/shell/gpubind.c, which numbers by PCI bus as NVML does; the CUDA programming guide on
 * `CUDA_VISIBLE_DEVICES`; NVIDIA's container toolkit on `NVIDIA_VISIBLE_DEVICES`.
 *
 * @module
 */
import type { DeviceIdentity } from "#metric/sample.ts";

export const jobKinds = ["k8s", "slurm", "flux", "standalone"] as const;
export type JobKind = (typeof jobKinds)[number];

/** What is read of the environment, and nothing else. */
export const jobVariables = [
  "KUBERNETES_SERVICE_HOST",
  "SLURM_JOB_ID",
  "FLUX_JOB_ID",
  "SLURM_STEP_GPUS",
  "SLURM_JOB_GPUS",
  "CUDA_VISIBLE_DEVICES",
  "NVIDIA_VISIBLE_DEVICES",
] as const;
type JobVariable = (typeof jobVariables)[number];
export type JobVariables = { readonly [Name in JobVariable]?: string | undefined };

export interface JobEnvironment {
  readonly kind: JobKind;
  readonly jobId?: string | undefined;
  /** Which variable says the devices; absent: nothing does, and all of them count. */
  readonly variable?: JobVariable | undefined;
  /** What it says, device by device: indexes or UUIDs. */
  readonly devices?: readonly string[] | undefined;
}

/** The innermost that there is: Flux runs inside Slurm, and both run in pods. */
export function detectedJob(variables: JobVariables): JobKind {
  if (isSet(variables.FLUX_JOB_ID)) return "flux";
  if (isSet(variables.SLURM_JOB_ID)) return "slurm";
  return isSet(variables.KUBERNETES_SERVICE_HOST) ? "k8s" : "standalone";
}

const isSet = (text: string | undefined) => text !== undefined && text !== "";

/** In the order in which they are believed: a step has a part of its job. */
const deviceVariables: Readonly<Record<JobKind, readonly JobVariable[]>> = {
  slurm: ["SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"],
  flux: ["CUDA_VISIBLE_DEVICES"],
  k8s: ["NVIDIA_VISIBLE_DEVICES"],
  standalone: [],
};
const idVariables: { readonly [Kind in JobKind]?: JobVariable } = {
  slurm: "SLURM_JOB_ID",
  flux: "FLUX_JOB_ID",
};

export function jobEnvironment(kind: JobKind, variables: JobVariables): JobEnvironment {
  const variable = deviceVariables[kind].find((name) => restricts(name, variables[name]));
  const idVariable = idVariables[kind];
  return {
    kind,
    jobId: idVariable && variables[idVariable],
    variable,
    devices: variable === undefined ? undefined : deviceNames(variables[variable] ?? ""),
  };
}

/** The container toolkit reads these as no selection of its own; CUDA reads an empty text as none. */
const unrestricted = ["all", "void"];
/** A mount names the devices, not the variable. */
const mountFolder = "/var/run/nvidia-container-devices";

function restricts(name: JobVariable, text: string | undefined): boolean {
  if (text === undefined) return false;
  if (name !== "NVIDIA_VISIBLE_DEVICES") return true;
  return text !== "" && !unrestricted.includes(text) && text !== mountFolder;
}

/** CUDA takes the devices before the first that is none, so that `-1` and `NoDevFiles` are no device. */
function deviceNames(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  const end = names.findIndex((name) => !/^(\d+(:\d+)?|(GPU|MIG)-.+)$/.test(name));
  return end === -1 ? names : names.slice(0, end);
}

export interface SelectedDevices<Device> {
  /** In the order of the driver. */
  readonly devices: readonly Device[];
  /** Names of no device that is there. */
  readonly unmatched: readonly string[];
}

/**
 * @param names Indexes, or UUIDs, of which a beginning is enough, as for CUDA; a whole GPU's stands
 * for its slices too.
 * @param variable Where the names come from: Slurm's numbers are not the driver's indexes.
 */
export function selectDevices<Device extends DeviceIdentity>(
  devices: readonly Device[],
  names: readonly string[],
  variable?: JobVariable,
): SelectedDevices<Device> {
  const isNamed = (device: Device) => names.some((name) => isNameOf(name, device, variable));
  return {
    devices: devices.filter(isNamed),
    unmatched: names.filter((name) => !devices.some((one) => isNameOf(name, one, variable))),
  };
}

function isNameOf(
  name: string,
  { uuid, parentUuid, index, minor }: DeviceIdentity,
  variable: JobVariable | undefined,
): boolean {
  if (!/^\d+$/.test(name)) return uuid.startsWith(name) || parentUuid?.startsWith(name) === true;
  const isSlurm = variable === "SLURM_STEP_GPUS" || variable === "SLURM_JOB_GPUS";
  return Number(name) === (isSlurm ? (minor ?? index) : index);
}
