/**
 * What each failure means to a gRPC caller, in one place.
 *
 * KEDA treats every error alike: it holds replicas or uses `fallback`. The codes are for people and
 * for their alerts: INVALID_ARGUMENT and FAILED_PRECONDITION ask a person to change something,
 * UNAVAILABLE and RESOURCE_EXHAUSTED pass by themselves.
 *
 * @module
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { Fault, type FaultCode } from "#core/fault.ts";
import { faultMessageCharsMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";

/** A new fault does not compile until it has a row. */
export const grpcCodes = {
  "trigger-invalid": Code.InvalidArgument,
  "ref-missing": Code.InvalidArgument,
  "name-invalid": Code.InvalidArgument,
  "metric-unknown": Code.InvalidArgument,
  "scope-unavailable": Code.FailedPrecondition,
  "scope-forbidden": Code.PermissionDenied,
  "metric-unsupported": Code.FailedPrecondition,
  "device-unknown": Code.NotFound,
  "data-missing": Code.Unavailable,
  "data-stale": Code.Unavailable,
  "kubernetes-failed": Code.Unavailable,
  "workload-unknown": Code.NotFound,
  "workload-syncing": Code.Unavailable,
  // KEDA asks with the object that it has cached, which may be a moment older or newer than ours.
  "trigger-unmatched": Code.Unavailable,
  "trigger-ambiguous": Code.FailedPrecondition,
  "scale-target-unusable": Code.FailedPrecondition,
  "selection-empty": Code.FailedPrecondition,
  "endpoint-refused": Code.FailedPrecondition,
  "engine-unreachable": Code.Unavailable,
  "page-invalid": Code.Unavailable,
  "signal-unavailable": Code.FailedPrecondition,
  "devices-unheld": Code.FailedPrecondition,
  "fleet-syncing": Code.Unavailable,
  overloaded: Code.ResourceExhausted,
  stopping: Code.Unavailable,
  "library-missing": Code.Unavailable,
  "library-failed": Code.Unavailable,
  "exporter-unreadable": Code.Unavailable,
  "file-invalid": Code.FailedPrecondition,
  // Ends a stream that this process reads; no caller sees it.
  "report-invalid": Code.Internal,
  // A command that reads another process says it, and no caller sees it.
  "server-unreachable": Code.Internal,
  // Both stop the process before it serves, so a caller who sees one sees a bug.
  "address-unusable": Code.Internal,
  "usage-invalid": Code.Internal,
} as const satisfies Record<FaultCode, Code>;

/** The specification's names by number: Prometheus labels and logs use them. */
const codeNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** Names a status as the specification does; UNKNOWN for what is none. */
export function codeName(status: number): string {
  return codeNames[status] ?? "UNKNOWN";
}

/** Puts a fault into the caller's terms. The fault stays as the cause, which is never sent. */
export function faultError(fault: Fault): ConnectError {
  const text =
    fault.message.length > faultMessageCharsMax
      ? `${fault.message.slice(0, faultMessageCharsMax).toWellFormed()}…`
      : fault.message;
  return new ConnectError(text, grpcCodes[fault.code], undefined, undefined, fault);
}

/**
 * Turns what a call throws into a status. A `ConnectError` is one already: a deadline, a cancelled
 * call, a message that is no message. A fault is for the caller to read. So is nothing else: a client
 * that went away while it was read hears no more, and of a bug it learns only that it is one, while
 * the log gets the stack.
 */
function statusOf(error: unknown, method: string, log: Log): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof Fault) return faultError(error);
  if (isPrematureClose(error)) return new ConnectError("the client went away", Code.Canceled);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log("error", "call failed by a bug", { method, stack });
  const text = `Cannot answer ${method}: a bug in the scaler; its log has the details`;
  return new ConnectError(text, Code.Internal, undefined, undefined, error);
}

/** How Node.js says that a stream was closed while somebody read it. */
function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}

/** Gives every failure of a call its code, by the one table. */
export function faultsToCodes(log: Log): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const rethrow = (error: unknown): never => {
      throw statusOf(error, method, log);
    };
    const response = await next(request).catch(rethrow);
    return response.stream
      ? { ...response, message: guarded(response.message, rethrow) }
      : response;
  };
}

/** A stream fails while it is read, after the interceptor has returned, so it is wrapped too. */
async function* guarded<T>(
  messages: AsyncIterable<T>,
  rethrow: (error: unknown) => never,
): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    rethrow(error);
  }
}
