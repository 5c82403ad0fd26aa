import type { ParsedTrigger, WorkloadRef } from "#answer/answer.ts";
import { Fault } from "#core/fault.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";

export type OnTriggerFault = (ref: WorkloadRef, fault: Fault) => void;

/**
 * The triggers that name this scaler: KEDA may ask for them at any time.
 *
 * @param parse Remembers what it parsed: metadata is the same object until its object changes.
 * @param onFault Called with each trigger that breaks a rule.
 */
export function servedTriggers(
  workloads: Pick<Workloads, "servedTriggers"> | undefined,
  parse: (metadata: Readonly<Record<string, string>>) => Trigger,
  onFault: OnTriggerFault = () => {},
): readonly ParsedTrigger[] {
  return (workloads?.servedTriggers() ?? []).flatMap(({ namespace, name, metadata }) => {
    // What KEDA will resolve is not known before it asks.
    if (Object.keys(metadata).some((key) => key.endsWith("FromEnv"))) return [];
    const ref = { namespace, name, scalerMetadata: metadata };
    try {
      return [{ ref, trigger: parse(metadata) }];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      onFault(ref, error);
      return [];
    }
  });
}
