/**
 * The triggers of a generated ScaledObject: the profile's own, what belongs beside it, and what wakes
 * the workload from zero.
 *
 * @module
 */
import type { MetricType } from "#kubernetes/hpa.ts";
import { isLatency } from "#metric/catalogue.ts";
import { engineFacts } from "#metric/engines.ts";
import { type FrontEndKey, type FrontEndName, frontEndNames, frontEndOf } from "./front-ends.ts";
import { type Profile, type ProfileName, profileNames } from "./profiles.ts";

/** Kinds that are scaled, with the API that has each. */
export const targetKinds = {
  Deployment: "apps/v1",
  StatefulSet: "apps/v1",
  LeaderWorkerSet: "leaderworkerset.x-k8s.io/v1",
} as const;
export type TargetKind = keyof typeof targetKinds;

export interface GenerateInput {
  readonly profileName: string;
  readonly profile: Profile;
  readonly target: { readonly kind: TargetKind; readonly name: string };
  readonly namespace?: string | undefined;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** The profile's own trigger is `external-push`. */
  readonly isPushed: boolean;
  /** What wakes the workload from zero; absent: it does not go there. */
  readonly fromZero?: FrontEndName | undefined;
  /** URL of the page in front; absent: by the naming of its own charts. */
  readonly endpoint?: string | undefined;
  readonly scalerAddress: string;
  /** Port that an engine or front end listens on. */
  readonly portOf: (engine: string) => number;
}

export interface GeneratedTrigger {
  readonly why?: string | undefined;
  readonly type: "external" | "external-push";
  readonly metricType?: MetricType | undefined;
  readonly keys: readonly FrontEndKey[];
}

interface Companion {
  readonly why: string;
  readonly keys: readonly FrontEndKey[];
}

const queueBeside = (engine?: string): Companion => ({
  why: "A latency is known when a request has got through; the requests that still wait are known at once. The HPA takes the larger of both.",
  keys: [
    { key: "metricType", value: "queue_depth" },
    { key: "targetValue", value: "5" },
    ...(engine === undefined ? [] : [{ key: "engine", value: engine }]),
  ],
});

const requestsBeside = (why: string): Companion => ({
  why: `${why} The target is what one replica works on with ease: half of its batch or less.`,
  keys: [
    { key: "profile", value: "llm-concurrency" },
    { key: "targetValue", value: "32" },
  ],
});
const besideQueue = requestsBeside(
  "An empty queue does not say that a replica can be spared; the requests in the engines do.",
);

/** What a profile wants beside it, as its `whenNot` in `profile-uses.ts` says. */
const companions: Partial<Readonly<Record<ProfileName, Companion>>> = {
  "vllm-queue-depth": besideQueue,
  "tgi-queue-depth": besideQueue,
  "sglang-queue-depth": besideQueue,
  "vllm-kv-cache": requestsBeside(
    "The cache cannot show more than full, and a batch of short requests is full long before it: the requests in the engines say how many replicas are missing then.",
  ),
  "gateway-flow-control": {
    why: "Once replicas run, what is in them says when to go back.",
    keys: [{ key: "profile", value: "llm-concurrency" }],
  },
};

function companionOf(name: string, { metric, engine }: Profile): Companion | undefined {
  const builtIn = profileNames.find((known) => known === name);
  const own = builtIn === undefined ? undefined : companions[builtIn];
  return own ?? (isLatency(metric) ? queueBeside(engine) : undefined);
}

/** Whether a profile is of what stands in front of engines, and so needs its address. */
export function isOfFrontEnd({ engine }: Profile): boolean {
  return engine !== undefined && engineFacts(engine).isFrontEnd;
}

export function generatedTriggers(input: GenerateInput): readonly GeneratedTrigger[] {
  const { profileName, profile, isPushed, fromZero, scalerAddress } = input;
  const address = { key: "scalerAddress", value: scalerAddress };
  const companion = companionOf(profileName, profile);
  const beside: readonly GeneratedTrigger[] =
    companion === undefined
      ? []
      : [{ why: companion.why, type: "external", keys: [address, ...companion.keys] }];
  if (isOfFrontEnd(profile)) return [...beside, profileOfFrontEnd(input)];
  const isValue = profile.metricType === "Value";
  const own: GeneratedTrigger = {
    type: isPushed ? "external-push" : "external",
    why: isValue
      ? "A latency does not add up over replicas: Value compares it as it is, AverageValue would divide it by them."
      : undefined,
    metricType: isValue ? "Value" : undefined,
    keys: [address, { key: "profile", value: profileName }],
  };
  return [own, ...beside, ...(fromZero === undefined ? [] : [wakingTrigger(fromZero, input)])];
}

/** The signal of the profile is there at zero replicas, and wakes the workload itself. */
function profileOfFrontEnd(input: GenerateInput): GeneratedTrigger {
  const { profile, profileName } = input;
  const name = frontEndNames.find((known) => frontEndOf(known).engine === profile.engine);
  if (name !== undefined) return wakingTrigger(name, input, profileName);
  return {
    why: "Pushed, so that the first request does not wait for a poll.",
    type: "external-push",
    keys: [
      { key: "scalerAddress", value: input.scalerAddress },
      { key: "profile", value: profileName },
      ...(input.endpoint === undefined ? [] : [{ key: "endpoint", value: input.endpoint }]),
    ],
  };
}

/** @param profileName Of a profile that says what is read, in place of the front end's own keys. */
function wakingTrigger(
  name: FrontEndName,
  input: GenerateInput,
  profileName?: string,
): GeneratedTrigger {
  const { target, namespace = "default", scalerAddress, endpoint, portOf } = input;
  const { engine, host, servicePort = portOf(engine), keys, why } = frontEndOf(name);
  const workload = { name: target.name, namespace };
  const own = keys(workload);
  const replaced = ["profile", "metricType", "targetValue"];
  const named =
    profileName === undefined
      ? own
      : [
          { key: "profile", value: profileName },
          ...own.filter(({ key }) => !replaced.includes(key)),
        ];
  const saysEngine = named.some(({ key }) => key === "profile");
  return {
    why: `${why} Pushed, its page is read every second and nobody waits for a poll.`,
    type: "external-push",
    keys: [
      { key: "scalerAddress", value: scalerAddress },
      ...(saysEngine ? [] : [{ key: "engine", value: engine }]),
      {
        key: "endpoint",
        value: endpoint ?? `http://${host(workload)}${servicePort === 80 ? "" : `:${servicePort}`}`,
        why:
          endpoint === undefined
            ? "Its Service, as its own chart names it: correct it."
            : undefined,
      },
      ...named,
    ],
  };
}
