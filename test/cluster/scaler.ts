import { expect } from "bun:test";
import type { ForeignClient, ForeignStream, Json } from "../foreign/client.ts";
import type { Serving } from "../support/binary.ts";

/** What KEDA says of the ScaledObject that it asks for. */
export interface Ref extends Json {
  readonly name: string;
  readonly namespace: string;
  readonly scalerMetadata: Readonly<Record<string, string>>;
}

/** One process that answers KEDA, as KEDA and the kubelet see it. */
export interface Scaler {
  readonly serving: Serving;
  /** The number, or the name of the gRPC code. */
  readonly value: (ref: Ref) => Promise<number | string>;
  /** Whether it is active, or the name of the gRPC code. */
  readonly active: (ref: Ref) => Promise<boolean | string>;
  /** What the error of `value` says; empty when there is none. */
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

export async function connectScaler(serving: Serving, keda: ForeignClient): Promise<Scaler> {
  const channel = await keda.connect(`${serving.bind}:${serving.grpcPort}`);
  const getMetrics = (ref: Ref) =>
    channel.unary(service, "GetMetrics", { scaledObjectRef: ref, metricName: "" });
  const page = async (path: string) => {
    const response = await fetch(`http://${serving.bind}:${serving.httpPort}${path}`);
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
      // The kubelet looks at the status alone.
      expect(status).toBe(text === "ok" ? 200 : 503);
      return text;
    },
    gauge: async (series) => {
      const { text } = await page("/metrics");
      const line = text.split("\n").find((each) => each.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
  };
}
