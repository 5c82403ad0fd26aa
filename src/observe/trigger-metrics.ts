/**
 * What a scaler shows of each ScaledObject that it answers. A series stands for a trigger: its object and
 * the name under which KEDA registers its metric. There are as many as the decision log remembers,
 * `decidedTriggersMax` at the most.
 *
 * @module
 */
import type { Registry } from "prom-client";
import { counter, gauge } from "./read-metric.ts";
import { refusalOf, type TriggerStatus } from "./trigger-history.ts";

interface TriggerGauge {
  readonly name: string;
  readonly help: string;
  /** `undefined` leaves the series out: what is not known is no 0. */
  readonly of: (status: TriggerStatus, nowMs: number) => number | undefined;
}

const flag = (state: boolean | undefined) => (state === undefined ? undefined : Number(state));

export const triggerGauges: readonly TriggerGauge[] = [
  {
    name: "keda_gpu_scaler_trigger_value",
    help: "What KEDA is answered, in the metric's unit; absent while it is refused",
    of: ({ value }) => value?.result,
  },
  {
    name: "keda_gpu_scaler_trigger_target",
    help: "What each replica should have, in the metric's unit",
    of: ({ trigger }) => trigger?.target,
  },
  {
    name: "keda_gpu_scaler_trigger_active",
    help: "1 while the workload is in use; absent while that is refused",
    of: ({ activity }) => flag(activity?.result),
  },
  {
    name: "keda_gpu_scaler_trigger_desired_replicas",
    help: "What the HPA makes of the value, before behavior, minimum and maximum",
    of: ({ value, workload }) =>
      value?.fault === undefined ? workload?.desiredReplicas : undefined,
  },
  {
    name: "keda_gpu_scaler_trigger_replicas",
    help: "spec.replicas of the scale target; of a ScaledJob, its pods",
    of: ({ workload }) => workload?.replicas,
  },
  {
    name: "keda_gpu_scaler_trigger_coverage_ratio",
    help: "Share of the replicas that count whose readings are known",
    of: ({ coverage }) => {
      if (coverage === undefined) return undefined;
      const { counted, missing } = coverage;
      return counted + missing === 0 ? undefined : counted / (counted + missing);
    },
  },
  {
    name: "keda_gpu_scaler_trigger_data_age_seconds",
    help: "Age of the oldest reading in the value",
    of: ({ dataAtMs }, nowMs) => (dataAtMs === undefined ? undefined : (nowMs - dataAtMs) / 1000),
  },
  {
    name: "keda_gpu_scaler_trigger_asked_timestamp_seconds",
    help: "When KEDA last asked this process, in Unix time",
    of: ({ askedAtMs }) => (askedAtMs === undefined ? undefined : askedAtMs / 1000),
  },
];

export function registerTriggers(
  registry: Registry,
  triggers: () => readonly TriggerStatus[],
  clock: { readonly wallMs: () => number },
): void {
  const labelNames = ["namespace", "name", "metric"];
  for (const { name, help, of } of triggerGauges)
    gauge(registry, { name, help, labelNames }, (set) => {
      const nowMs = clock.wallMs();
      for (const status of triggers()) {
        const number = of(status, nowMs);
        if (number !== undefined) set(number, labelsOf(status));
      }
    });
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_trigger_refused",
      help: "1 while a trigger has no answer, by the refusal's code",
      labelNames: [...labelNames, "code"],
    },
    (set) => {
      for (const status of triggers()) {
        const code = refusalOf(status)?.code;
        if (code !== undefined) set(1, { ...labelsOf(status), code });
      }
    },
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_trigger_refusals_total",
      help: "Calls of KEDA that were refused, by code",
      labelNames: [...labelNames, "code"],
    },
    (add) => {
      for (const status of triggers())
        for (const [code, count] of status.refusals) add(count, { ...labelsOf(status), code });
    },
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_trigger_warnings",
      help: "Triggers of an object that will not work as their author hopes, by the warning's code",
      labelNames: ["namespace", "name", "code"],
    },
    (set) => {
      for (const { count, ...labels } of warningCounts(triggers())) set(count, labels);
    },
  );
}

/** A trigger whose metadata breaks a rule has no metric yet. */
function labelsOf({ ref: { namespace, name }, trigger }: TriggerStatus) {
  return { namespace, name, metric: trigger?.metricName ?? "" };
}

/** How many of an object's triggers have a warning of a code. */
function warningCounts(triggers: readonly TriggerStatus[]) {
  const all = triggers.flatMap(({ ref: { namespace, name }, warnings }) =>
    warnings.map(({ code }) => ({ namespace, name, code })),
  );
  const same = Map.groupBy(all, ({ namespace, name, code }) => `${namespace} ${name} ${code}`);
  return [...same.values()].flatMap(([first, ...rest]) =>
    first === undefined ? [] : [{ ...first, count: 1 + rest.length }],
  );
}
