/** What each fault carries into logs; the key is its code. */
export interface FaultFacts {
  /** A trigger's metadata breaks the schema. */
  "trigger-invalid": { readonly problems: readonly string[] };
  /** A call came without the ScaledObject it is about. */
  "ref-missing": { readonly method: string };
  /** A call names an object as Kubernetes names none; `field` is which of its names. */
  "name-invalid": { readonly field: string; readonly rule: string };
  /** A call asks for a metric under a name that its trigger does not have. */
  "metric-unknown": { readonly asked: string; readonly known: string };
  /** The trigger asks for something this process, as it was started, cannot see. */
  "scope-unavailable": { readonly scope: string };
  /** The operator does not let triggers ask for these devices. */
  "scope-forbidden": { readonly scope: string; readonly allowed: readonly string[] };
  /** The devices have no such reading, and never will in their present mode. */
  "metric-unsupported": { readonly metric: string; readonly devices: readonly string[] };
  /** No device fits the trigger's selection. */
  "device-unknown": { readonly asked: string; readonly known: readonly string[] };
  /** Some readings that the answer needs are not there now. */
  "data-missing": { readonly known: number; readonly missing: readonly string[] };
  /** Nothing was read lately enough to be served. */
  "data-stale": { readonly limitMs: number; readonly ageMs?: number };
  /** The Kubernetes API refuses, or did not answer (status 0). */
  "kubernetes-failed": {
    readonly path: string;
    readonly status: number;
    readonly retryAfterMs?: number | undefined;
  };
  /** No ScaledObject or ScaledJob of that name has an external trigger. */
  "workload-unknown": { readonly namespace: string; readonly name: string };
  /** It is being read from the Kubernetes API for the first time. */
  "workload-syncing": {
    readonly namespace: string;
    readonly name: string;
    readonly waitingFor: string;
  };
  /** None of the object's triggers has the metadata that came. */
  "trigger-unmatched": { readonly namespace: string; readonly name: string };
  /** Several of the object's triggers may have sent the metadata, and they differ in metricType. */
  "trigger-ambiguous": { readonly namespace: string; readonly name: string };
  /** The scale target does not exist, cannot be scaled, or does not say which pods are its own. */
  "scale-target-unusable": { readonly target: string };
  /** The target has pods, but `podSelector` or `container` leaves none of them. */
  "selection-empty": { readonly asked: string; readonly pods: readonly string[] };
  /** The workload's pods hold none of the devices that are asked about. */
  "devices-unheld": { readonly pods: readonly string[] };
  /** This process has just started and has not heard all agents yet. */
  "fleet-syncing": { readonly waitingFor: string };
  /** A limit of `src/core/limits.ts` is reached. */
  overloaded: { readonly limit: number };
  /** The process is stopping. */
  stopping: Readonly<Record<string, never>>;
  /** The vendor's library, or the files of its driver, are not on this machine or cannot be used. */
  "library-missing": { readonly paths: readonly string[] };
  /** The vendor's library refuses; `fatal` when only a new container can help. */
  "library-failed": {
    readonly symbol: string;
    readonly returnCode: number;
    readonly fatal: boolean;
  };
  /** The exporter that devices are read from does not answer, or with a page of something else. */
  "exporter-unreadable": { readonly url: string };
  /** A file that the user named cannot be used. */
  "file-invalid": { readonly path: string; readonly problems: readonly string[] };
  /** The system does not let the process listen there. */
  "address-unusable": { readonly address: string; readonly port: number; readonly code: string };
  /** What an agent reports cannot be of the node that it speaks for. */
  "report-invalid": { readonly node: string; readonly problem: string };
  /** The command line breaks a rule. */
  "usage-invalid": { readonly problems: readonly string[] };
  /** An address that must not be asked; `rule` is the rule that it breaks. */
  "endpoint-refused": { readonly endpoint: string; readonly rule: string };
  /** A process whose status is read does not give it. */
  "server-unreachable": { readonly server: string };
  /** An engine does not answer, or with a status that is no success: then `status` is that. */
  "engine-unreachable": { readonly target: string; readonly status?: number };
  /** An engine does not export what was asked, or not so that it can be used. */
  "signal-unavailable": {
    readonly engine: string;
    readonly signal: string;
    readonly offered: readonly string[];
  };
  /** What an engine answered is not the page its readers can use; `came` is what it was. */
  "page-invalid": { readonly came: string };
}
export type FaultCode = keyof FaultFacts;

type FaultArgs = {
  [Code in FaultCode]: [code: Code, message: string, facts: FaultFacts[Code], cause?: unknown];
}[FaultCode];

/**
 * A failure the world can cause and the caller is told of. A bug throws from `assert` instead. Its
 * message is one line, whatever names and texts of others are part of it.
 */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly facts: FaultFacts[FaultCode];

  constructor(...[code, message, facts, cause]: FaultArgs) {
    super(oneLine(message), { cause });
    this.code = code;
    this.facts = facts;
  }
}

/** What an error says, in one line. */
export function messageOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}

/** A text without line ends and other control characters: a log and a terminal show it as it is. */
export function oneLine(text: string): string {
  return text.replace(controlCharacters, " ").trim();
}
const controlCharacters = /[\p{Cc}\u2028\u2029][\s\p{Cc}]*/gu;

/** What `run` returns; `undefined` where it throws a Fault. Whatever else is thrown is a bug. */
export function unlessFault<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
