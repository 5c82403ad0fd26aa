/**
 * Under which reasons events speak of what is wrong with a trigger. `docs/operating.md` says what to do
 * about each.
 *
 * @module
 */
import type { FaultCode } from "#core/fault.ts";
import type { WarningCode } from "#trigger/warnings.ts";

/** What may be wrong with an object: why a trigger of it has no answer, a warning, or an ill device. */
export type ProblemCode = FaultCode | WarningCode | "gpu-lost" | "gpu-failing" | "gpu-degraded";

export type ProblemReason = keyof typeof endReasons;

/**
 * Of a refusal; `undefined` for what makes no event: a call that no trigger of an object has made, and
 * a process that stops.
 */
export function refusalReason(code: FaultCode): ProblemReason | undefined {
  return refusalReasons[code];
}

export function warningReason(code: WarningCode): ProblemReason {
  return warningReasons[code] ?? "TriggerWarning";
}

/** A new fault does not compile until it has a row. */
const refusalReasons: Readonly<Record<FaultCode, ProblemReason | undefined>> = {
  "trigger-invalid": "TriggerRefused",
  "scope-unavailable": "TriggerRefused",
  "scope-forbidden": "TriggerRefused",
  "metric-unsupported": "TriggerRefused",
  "device-unknown": "TriggerRefused",
  "trigger-ambiguous": "TriggerRefused",
  "scale-target-unusable": "TriggerRefused",
  "selection-empty": "TriggerRefused",
  "devices-unheld": "TriggerRefused",
  "endpoint-refused": "TriggerRefused",
  "signal-unavailable": "TriggerRefused",
  "file-invalid": "TriggerRefused",
  overloaded: "TriggerRefused",
  "data-missing": "DataMissing",
  "data-stale": "DataMissing",
  "fleet-syncing": "DataMissing",
  "workload-syncing": "DataMissing",
  "kubernetes-failed": "DataMissing",
  "library-missing": "DataMissing",
  "library-failed": "DataMissing",
  "exporter-unreadable": "DataMissing",
  "engine-unreachable": "EngineUnreachable",
  "page-invalid": "EngineUnreachable",
  // Whoever reaches the port can make such calls: they say nothing of the object.
  "ref-missing": undefined,
  "name-invalid": undefined,
  "metric-unknown": undefined,
  "workload-unknown": undefined,
  "trigger-unmatched": undefined,
  stopping: undefined,
  "report-invalid": undefined,
  "address-unusable": undefined,
  "usage-invalid": undefined,
  "server-unreachable": undefined,
};

/** The reason of the event that says that a problem is over. */
export function endReason(reason: ProblemReason): EndReason {
  return endReasons[reason];
}

const endReasons = {
  TriggerRefused: "TriggerAnswers",
  DataMissing: "TriggerAnswers",
  EngineUnreachable: "TriggerAnswers",
  RunawayPrevented: "WarningResolved",
  RunawayLikely: "WarningResolved",
  TriggerWarning: "WarningResolved",
  GpuLost: "GpuLossResolved",
  GpuFailing: "GpuProblemResolved",
  GpuDegraded: "GpuProblemResolved",
} as const;
type EndReason = (typeof endReasons)[keyof typeof endReasons];

const warningReasons: { readonly [Code in WarningCode]?: ProblemReason } = {
  // Counted whole, one saturated device would ask for more holders of itself without end.
  "shared-device": "RunawayPrevented",
  "memory-runs-away": "RunawayLikely",
  "sum-under-value": "RunawayLikely",
  "total-under-value": "RunawayLikely",
};
