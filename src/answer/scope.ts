/**
 * Whose devices a trigger means where it does not say it, and whether the operator lets it ask for
 * them.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { metricOf } from "#metric/catalogue.ts";
import type { Scope, Trigger } from "#trigger/trigger.ts";

/** @param hasWorkloads Whether there is a Kubernetes API, from which a workload's pods are known. */
export function scopeOf({ scope }: Pick<Trigger, "scope">, hasWorkloads: boolean): Scope {
  return scope ?? (hasWorkloads ? "workload" : "node");
}

/**
 * Why a trigger is not answered at all: its value or its activity is of a scope that the operator
 * forbids. A URL is of one workload's engines, whatever the devices' scope.
 *
 * @param allowed Of `--allow-scope`.
 * @returns `scope-forbidden`; `undefined` where both are allowed.
 */
export function scopeFault(
  trigger: Trigger,
  hasWorkloads: boolean,
  allowed: readonly Scope[],
): Fault | undefined {
  const { metric, activationMetric, endpoint } = trigger;
  for (const asked of [metric, activationMetric]) {
    const isOfUrl = endpoint !== undefined && metricOf(asked).source === "engine";
    const scope = isOfUrl ? "workload" : scopeOf(trigger, hasWorkloads);
    if (!allowed.includes(scope)) return scopeForbidden(asked, scope, allowed);
  }
  return undefined;
}

function scopeForbidden(metric: string, scope: Scope, allowed: readonly Scope[]): Fault {
  return new Fault(
    "scope-forbidden",
    `Cannot answer ${metric} in scope ${scope}: --allow-scope of this scaler allows ` +
      `${allowed.join(" and ")}; set metadata scope to what it allows, or have it allow ${scope}`,
    { scope, allowed },
  );
}
