/**
 * What a process adds to the answers: its own state, and a line in the log.
 *
 * @module
 */
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import type { Log } from "#core/log.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { LocalNode } from "./local-node.ts";

/** While nothing is fresh, the collector's own words say more than the age of the last sample. */
export function withFault(inner: Answerer, node: LocalNode): Answerer {
  const refuse = (metric: MetricName) => {
    const fault = metricOf(metric).source === "device" ? node.fault() : undefined;
    if (fault !== undefined) throw fault;
  };
  return {
    ...inner,
    value: (ref, trigger) => {
      refuse(trigger.metric);
      return inner.value(ref, trigger);
    },
    activity: (ref, trigger) => {
      if (!trigger.alwaysActive) refuse(trigger.activationMetric);
      return inner.activity(ref, trigger);
    },
  };
}

/** Writes down how each answer came about, for whoever looks with `--log-level debug`. */
export function told(inner: Answerer, log: Log): Answerer {
  const tell = (what: string, { namespace, name }: WorkloadRef, { metric, rule }: Explanation) =>
    log("debug", what, { namespace, name, metric, rule });
  return {
    ...inner,
    value: (ref, trigger) => {
      const answer = inner.value(ref, trigger);
      tell("value answered", ref, answer.explanation);
      return answer;
    },
    activity: (ref, trigger) => {
      const answer = inner.activity(ref, trigger);
      tell("activity answered", ref, answer.explanation);
      return answer;
    },
  };
}
