/**
 * What a scaler shows of each ScaledObject that it answers.
 *
 * @module
 */
import type { Registry } from "prom-client";
import { gauge } from "./read-metric.ts";
import type { TriggerStatus } from "./trigger-history.ts";

export function registerTriggers(
  registry: Registry,
  triggers: () => readonly TriggerStatus[],
): void {
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
