/**
 * What stands in front of engines and wakes a workload from zero replicas: the trigger that reads
 * each, as a ScaledObject has it.
 *
 * @module
 */
import type { EngineName } from "#metric/engines.ts";

/** The workload that is woken. */
export interface WokenWorkload {
  readonly name: string;
  readonly namespace: string;
}

export interface FrontEnd {
  readonly engine: EngineName;
  /** Host of its page by the naming of its own charts; a trigger may need another. */
  readonly host: (workload: WokenWorkload) => string;
  /** Of its Service, where that is not the program's own. */
  readonly servicePort?: number | undefined;
  /** Keys of the trigger beside its address, with the reason of each that is no matter of course. */
  readonly keys: (workload: WokenWorkload) => readonly FrontEndKey[];
  /** What its signal is, and what has to be right around it. */
  readonly why: string;
}

export interface FrontEndKey {
  readonly key: string;
  readonly value: string;
  readonly why?: string | undefined;
}

const rate = (why: string): readonly FrontEndKey[] => [
  { key: "metricType", value: "request_rate" },
  { key: "targetValue", value: "10", why },
];
const inFlight: readonly FrontEndKey[] = [
  { key: "metricType", value: "concurrency" },
  { key: "targetValue", value: "16", why: "Requests that one replica serves at once: measure it." },
];
const served =
  "Requests a second that one replica certainly serves; the first one wakes the workload.";
const token = (value: string): FrontEndKey => ({
  key: "engineTokenFile",
  value,
  why: "Its bearer token: a file that the operator of the scaler mounts for this namespace.",
});

export const frontEnds = {
  router: {
    engine: "vllm-router",
    host: ({ name }) => `${name}-router-service`,
    servicePort: 80,
    keys: () => rate(served),
    why: "The router in front of the engines counts requests also while no engine is there to take them.",
  },
  epp: {
    engine: "epp",
    host: ({ name }) => `${name}-epp`,
    keys: ({ name }) => [{ key: "profile", value: "gateway-flow-control" }, token(`${name}-epp`)],
    why: "The endpoint picker of the Gateway API holds requests back while no replica can take them. It needs flow control.",
  },
  "http-add-on": {
    engine: "http-add-on",
    host: () => "keda-add-ons-http-interceptor-admin.keda",
    keys: ({ name, namespace }) => [
      ...inFlight,
      {
        key: "engineLabels",
        value: `route_namespace="${namespace}",route_name="${name}"`,
        why: "The interceptor serves every route of the cluster: this is the one of the workload.",
      },
    ],
    why: "The interceptor of KEDA's HTTP add-on holds requests while no replica is there. It is in another namespace, so the scaler needs --allow-endpoint for it.",
  },
  litellm: {
    engine: "litellm",
    host: () => "litellm",
    keys: ({ name }) => [
      ...rate(served),
      {
        key: "engineLabels",
        value: `requested_model="${name}"`,
        why: "The proxy serves several models: this is the workload's, as clients name it.",
      },
      token("litellm"),
    ],
    why: "The proxy counts the requests for the model. A client has to try again until the first replica is ready.",
  },
  "dynamo-frontend": {
    engine: "dynamo-frontend",
    host: ({ name }) => `${name}-frontend`,
    keys: () => inFlight,
    why: "The frontend of Dynamo knows the requests that it holds.",
  },
} as const satisfies Record<string, FrontEnd>;

export type FrontEndName = keyof typeof frontEnds;
export const frontEndNames = Object.keys(frontEnds) as FrontEndName[];

export function frontEndOf(name: FrontEndName): FrontEnd {
  return frontEnds[name];
}
