/**
 * `generate`: a complete ScaledObject for a profile and a workload.
 *
 * @module
 */
import { usage } from "#cli/arguments.ts";
import { command, exitCodes } from "#cli/command.ts";
import {
  type FlagValues,
  flag,
  frontEnd,
  kubernetesName,
  present,
  scaleTarget,
  text,
  wholeNumber,
} from "#cli/flags.ts";
import { profileNamed, profilesFlag, profileTable } from "#cli/profiles-flag.ts";
import { generatedReplicasMax, generatedReplicasMost } from "#core/limits.ts";
import { adapterOf } from "#engine/adapters/all.ts";
import { frontEndOf } from "#trigger/front-ends.ts";
import { generatedObject } from "#trigger/generate.ts";
import {
  type GenerateInput,
  generatedTriggers,
  isOfFrontEnd,
} from "#trigger/generated-triggers.ts";
import { type Profile, profileNames } from "#trigger/profiles.ts";
import { parseTrigger } from "#trigger/trigger.ts";

const replicas = wholeNumber(0, generatedReplicasMost);
const generateFlags = {
  profile: flag(
    { ...text("NAME", "must be a profile"), completion: profileNames },
    { help: "What to scale on; required. keda-gpu-scaler profiles lists them" },
  ),
  target: flag(scaleTarget, { help: "The workload; required" }),
  namespace: flag(kubernetesName, { help: "Namespace of the workload; else the file says none" }),
  min: flag(replicas, { help: "Fewest replicas in use; else 1, or 0 with --from-zero" }),
  max: flag(replicas, {
    fallback: String(generatedReplicasMax),
    help: "Most replicas",
  }),
  push: flag(present, { help: "Make the profile's trigger external-push" }),
  "from-zero": flag(frontEnd, {
    help: "Go to zero replicas, and wake by a second trigger on what stands in front",
  }),
  endpoint: flag(text("URL", "must be a URL"), {
    help: "Address of what stands in front; else by the naming of its own chart",
  }),
  "scaler-address": flag(text("HOST:PORT", "must be the address of the scaler"), {
    fallback: "keda-gpu-scaler.keda.svc.cluster.local:6000",
    help: "Where KEDA finds the scaler",
  }),
  ...profilesFlag,
} as const;

export const generateCommand = command("generate", {
  summary: "Print a complete ScaledObject for a profile, with the reasons as comments",
  flags: generateFlags,
  examples: [
    "keda-gpu-scaler generate --profile vllm-queue-depth --target deployment/chat",
    "keda-gpu-scaler generate --profile vllm-queue-depth --target deployment/chat --from-zero router",
  ],
  run: async ({ flags }, { stdout }) => {
    const { profile: name, target } = flags;
    if (name === undefined) throw usage("generate", "--profile must be a profile, got nothing");
    if (target === undefined)
      throw usage("generate", `--target ${generateFlags.target.rule}, got nothing`);
    const table = await profileTable(flags.profiles);
    const profile = profileNamed("generate", name, table);
    const input = inputOf(flags, { profileName: name, profile, target });
    // What the server would refuse is not printed: the words are the server's own.
    for (const { keys } of generatedTriggers(input))
      parseTrigger(Object.fromEntries(keys.map(({ key, value }) => [key, value])), table);
    stdout(generatedObject(input));
    return exitCodes.done;
  },
});

function inputOf(
  flags: FlagValues<typeof generateFlags>,
  chosen: Pick<GenerateInput, "profileName" | "profile" | "target">,
): GenerateInput {
  const { min, max, namespace, push, endpoint, "from-zero": fromZero } = flags;
  const { profile } = chosen;
  const problem = zeroProblem(flags, chosen);
  if (problem !== undefined) throw usage("generate", problem);
  const wakes = fromZero !== undefined || isOfFrontEnd(profile);
  const minReplicas = min ?? (wakes && profile.scalesToZero ? 0 : 1);
  if (max < Math.max(1, minReplicas))
    throw usage("generate", `--max must be at least ${Math.max(1, minReplicas)}, got ${max}`);
  return {
    ...chosen,
    namespace,
    minReplicas,
    maxReplicas: max,
    isPushed: push === true,
    fromZero,
    endpoint,
    scalerAddress: flags["scaler-address"],
    portOf: (engine) => adapterOf(engine)?.port ?? 80,
  };
}

/** What does not go together with the way to zero. */
function zeroProblem(
  { min, endpoint, "from-zero": fromZero }: FlagValues<typeof generateFlags>,
  { profileName, profile }: { readonly profileName: string; readonly profile: Profile },
): string | undefined {
  const isFront = isOfFrontEnd(profile);
  if (!profile.scalesToZero && (min === 0 || fromZero !== undefined))
    return `profile ${profileName} is always active, so its workload never goes to zero; leave ${min === 0 ? "--min 0" : "--from-zero"} out`;
  if (fromZero !== undefined && isFront && frontEndOf(fromZero).engine !== profile.engine)
    return `profile ${profileName} is of ${profile.engine}, which wakes the workload itself; leave --from-zero out`;
  if (min === 0 && fromZero === undefined && !isFront)
    return "--min 0 needs --from-zero: at zero replicas the workload's own numbers cannot wake it";
  if (endpoint !== undefined && fromZero === undefined && !isFront)
    return `--endpoint is for --from-zero, or for a profile of what stands in front, got profile ${profileName}`;
  return undefined;
}
