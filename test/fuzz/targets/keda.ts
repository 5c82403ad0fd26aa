/**
 * KEDA's calls, as messages on the port: any caller may send them.
 *
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Answerer } from "#answer/answer.ts";
import { systemClock } from "#core/clock.ts";
import {
  type GetMetricsRequest,
  GetMetricsRequestSchema,
} from "#gen/externalscaler/externalscaler_pb.ts";
import { externalScaler } from "#keda/external-scaler.ts";
import { metricNames } from "#metric/catalogue.ts";
import { triggerKeyNames } from "#trigger/keys.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { exampleMetadata } from "../corpus.ts";
import { mutateProtobuf } from "../mutate-protobuf.ts";
import { outcomeOf, promise, promiseEqual, refusable, type Target } from "../target.ts";

const value = 0.25;
const explanation = { metric: "gpu_utilization", scope: "node", rule: "", devices: [] } as const;
const answerer: Answerer = {
  value: () => ({ value, explanation }),
  activity: () => ({ active: true, explanation }),
  subscribe: () => () => undefined,
  watchActivity: () => () => undefined,
};
const service = externalScaler({
  answerer,
  parse: parseTrigger,
  pushSpacingMs: 200,
  clock: systemClock(),
  onRefused: () => undefined,
});
/** The unary methods read nothing of it. */
const noContext = {} as HandlerContext;
const refusals = ["trigger-invalid", "ref-missing", "name-invalid", "metric-unknown"] as const;

export const callTarget: Target = {
  name: "call",
  testInputs: 1_800,
  share: 80_000,
  corpus: () =>
    exampleMetadata().map((scalerMetadata) => {
      const scaledObjectRef = { namespace: "team", name: "server", scalerMetadata };
      const request = create(GetMetricsRequestSchema, { metricName: "", scaledObjectRef });
      return Buffer.from(toBinary(GetMetricsRequestSchema, request));
    }),
  mutate: mutateProtobuf(GetMetricsRequestSchema, [
    ...triggerKeyNames,
    ...metricNames,
    "s0-gpu-utilization",
    "80",
    "a.b",
    "x".repeat(254),
  ]),
  run: (input) => {
    const request = requestIn(input);
    if (request === undefined) return "no message";
    const { result, fault } = refusable(refusals, () => answersTo(request));
    if (fault !== undefined) return outcomeOf(fault.message);
    const { spec, metrics } = result;
    const [metric, ...more] = metrics.metricValues ?? [];
    promiseEqual(more, [], "KEDA adds up whatever it gets");
    promise(metric?.metricValueFloat === value, () => "a value is the answerer's");
    promise(metric?.metricValue === 1n, () => "the integer beside it is rounded up");
    const { metricName = "", targetSize = 0n, targetSizeFloat = 0 } = spec.metricSpecs?.[0] ?? {};
    promise(targetSize >= 1n, () => `the API server refuses a target of ${targetSize}`);
    promise(targetSizeFloat >= 0.001, () => `a target is above 0: ${targetSizeFloat}`);
    return metricName;
  },
};

/** What is no message is refused before it comes to the service, by the library that reads it. */
function requestIn(input: Buffer): GetMetricsRequest | undefined {
  try {
    return fromBinary(GetMetricsRequestSchema, input);
  } catch {
    return undefined;
  }
}

function answersTo(request: GetMetricsRequest) {
  const { scaledObjectRef: ref } = request;
  const metrics = service.getMetrics(request, noContext);
  const spec = ref && service.getMetricSpec(ref, noContext);
  if (metrics instanceof Promise || spec === undefined || spec instanceof Promise)
    throw new Error("Cannot check the answer: it does not come at once");
  return { metrics, spec };
}
