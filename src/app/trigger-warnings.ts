import type { WorkloadRef } from "#answer/answer.ts";
import { setNewest } from "#core/bounded-map.ts";
import { askedForMs, warnedTriggersMax } from "#core/limits.ts";
import type { WarningCount } from "#observe/scaler-metrics.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import { triggerKey } from "./answers.ts";
import type { Runtime } from "./options.ts";

export interface WarningRecorder {
  /** Logs the warnings of a trigger, and remembers them in place of those before. */
  readonly record: (ref: WorkloadRef, warnings: readonly TriggerWarning[]) => void;
  /** Counts those of triggers that were recorded lately, by object and code. */
  readonly counts: () => readonly WarningCount[];
}

interface WarnedTrigger extends Pick<WorkloadRef, "namespace" | "name"> {
  readonly codes: readonly string[];
  readonly atMs: number;
}

export function warningRecorder({ clock, log }: Pick<Runtime, "clock" | "log">): WarningRecorder {
  const warned = new Map<string, WarnedTrigger>();
  return {
    record: (ref, warnings) => {
      // Nearly every call: nothing to warn of, and nothing to forget.
      if (warnings.length === 0 && warned.size === 0) return;
      const { namespace, name } = ref;
      const key = triggerKey(ref);
      if (warnings.length === 0) {
        warned.delete(key);
        return;
      }
      for (const { code, message } of warnings)
        log("warn", "trigger warning", { namespace, name, code, message });
      const codes = warnings.map(({ code }) => code);
      const entry = { namespace, name, codes, atMs: clock.monotonicMs() };
      setNewest(warned, key, entry, warnedTriggersMax);
    },
    counts: () => {
      const nowMs = clock.monotonicMs();
      for (const [key, { atMs }] of warned) if (nowMs - atMs > askedForMs) warned.delete(key);
      const all = [...warned.values()].flatMap(({ namespace, name, codes }) =>
        codes.map((code) => ({ namespace, name, code })),
      );
      const same = Map.groupBy(all, ({ namespace, name, code }) => `${namespace} ${name} ${code}`);
      return [...same.values()].flatMap(([first, ...rest]) =>
        first === undefined ? [] : [{ ...first, count: 1 + rest.length }],
      );
    },
  };
}
