import type { ForeignChannel, ForeignStream, Json } from "../foreign/client.ts";
import type { Serving } from "../support/binary.ts";

/** What KEDA says of the ScaledObject that it asks for. */
export interface Ref extends Json {
  readonly name: string;
  readonly namespace: string;
  readonly scalerMetadata: Readonly<Record<string, string>>;
}

/** One scaler replica, as KEDA and the kubelet see it. */
export interface Scaler {
  readonly serving: Serving;
  /** The number, or the name of the gRPC code. */
  readonly value: (ref: Ref) => Promise<number | string>;
  /** Whether it is active, or the name of the gRPC code. */
  readonly active: (ref: Ref) => Promise<boolean | string>;
  /** What an error of `value` says; empty when there is none. */
  readonly refusal: (ref: Ref) => Promise<string>;
  /** The target that GetMetricSpec gives. */
  readonly target: (ref: Ref) => Promise<unknown>;
  readonly push: (ref: Ref) => Promise<ForeignStream>;
  /** The readiness probe: `ok`, or why not. */
  readonly ready: () => Promise<string>;
  /** A number of `/metrics`, by the whole name of its series. */
  readonly gauge: (series: string) => Promise<number | undefined>;
}

const service = "externalscaler.ExternalScaler";

export function scaler(serving: Serving, channel: ForeignChannel): Scaler {
  const getMetrics = (ref: Ref) =>
    channel.unary(service, "GetMetrics", { scaledObjectRef: ref, metricName: "" });
  const page = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${serving.httpPort}${path}`);
    return { status: response.status, text: (await response.text()).trim() };
  };

  return {
    serving,
    value: async (ref) => {
      const { code, answer } = await getMetrics(ref);
      const [first] = (answer?.["metricValues"] ?? []) as readonly Json[];
      return code === "OK" ? Number(first?.["metricValueFloat"]) : code;
    },
    active: async (ref) => {
      const { code, answer } = await channel.unary(service, "IsActive", ref);
      return code === "OK" ? answer?.["result"] === true : code;
    },
    refusal: async (ref) => (await getMetrics(ref)).details ?? "",
    target: async (ref) => {
      const { answer } = await channel.unary(service, "GetMetricSpec", ref);
      const [spec] = (answer?.["metricSpecs"] ?? []) as readonly Json[];
      return spec?.["targetSizeFloat"];
    },
    push: (ref) => channel.stream(service, "StreamIsActive", ref),
    ready: async () => {
      const { status, text } = await page("/readyz");
      return (status === 200) === (text === "ok") ? text : `${status} ${text}`;
    },
    gauge: async (series) => {
      const { text } = await page("/metrics");
      const line = text.split("\n").find((each) => each.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
  };
}
