import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { askedForMs, warnedTriggersMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";

/** How many of an object's triggers have a warning of a code. */
export interface WarningCount extends Pick<WorkloadRef, "namespace" | "name"> {
  readonly code: string;
  readonly count: number;
}

interface WarnedTrigger extends Pick<WorkloadRef, "namespace" | "name"> {
  readonly codes: readonly string[];
  readonly atMs: number;
}

/** Writes down what there is to warn of, and keeps it for as long as somebody asks. */
export function warning(
  inner: Answerer,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): { readonly answers: Answerer; readonly counts: () => readonly WarningCount[] } {
  const warned = new Map<string, WarnedTrigger>();

  const take = (ref: WorkloadRef, warnings: readonly TriggerWarning[]) => {
    const { namespace, name, scalerMetadata } = ref;
    const key = JSON.stringify([namespace, name, Object.entries(scalerMetadata).sort()]);
    if (warnings.length === 0) {
      warned.delete(key);
      return;
    }
    for (const { code, message } of warnings)
      log("warn", "trigger warning", { namespace, name, code, message });
    const codes = warnings.map(({ code }) => code);
    const entry = { namespace, name, codes, atMs: clock.monotonicMs() };
    setNewest(warned, key, entry, warnedTriggersMax);
  };
  const value: Answerer["value"] = (ref, trigger) => {
    const answer = inner.value(ref, trigger);
    const { warnings = [] } = answer.explanation;
    if (warnings.length > 0 || warned.size > 0) take(ref, warnings);
    return answer;
  };
  const counts = () => {
    const nowMs = clock.monotonicMs();
    for (const [key, { atMs }] of warned) if (nowMs - atMs > askedForMs) warned.delete(key);
    const all = [...warned.values()].flatMap(({ namespace, name, codes }) =>
      codes.map((code) => ({ namespace, name, code })),
    );
    const groups = Map.groupBy(all, ({ namespace, name, code }) => `${namespace} ${name} ${code}`);
    return [...groups.values()].flatMap(([first, ...rest]) =>
      first === undefined ? [] : [{ ...first, count: 1 + rest.length }],
    );
  };
  return { answers: { ...inner, value }, counts };
}
