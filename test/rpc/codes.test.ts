import { expect, test } from "bun:test";
import { Fault, type FaultCode } from "#core/fault.ts";
import { codeName, faultError } from "#rpc/codes.ts";

/** Written out once more, so that a changed code is a decision and not a slip. */
const expected: Record<FaultCode, string> = {
  "trigger-invalid": "INVALID_ARGUMENT",
  "ref-missing": "INVALID_ARGUMENT",
  "name-invalid": "INVALID_ARGUMENT",
  "metric-unknown": "INVALID_ARGUMENT",
  "scope-unavailable": "FAILED_PRECONDITION",
  "scope-forbidden": "PERMISSION_DENIED",
  "metric-unsupported": "FAILED_PRECONDITION",
  "device-unknown": "NOT_FOUND",
  "data-missing": "UNAVAILABLE",
  "data-stale": "UNAVAILABLE",
  "kubernetes-failed": "UNAVAILABLE",
  "workload-unknown": "NOT_FOUND",
  "workload-syncing": "UNAVAILABLE",
  "trigger-unmatched": "UNAVAILABLE",
  "trigger-ambiguous": "FAILED_PRECONDITION",
  "scale-target-unusable": "FAILED_PRECONDITION",
  "selection-empty": "FAILED_PRECONDITION",
  "endpoint-refused": "FAILED_PRECONDITION",
  "engine-unreachable": "UNAVAILABLE",
  "page-invalid": "UNAVAILABLE",
  "signal-unavailable": "FAILED_PRECONDITION",
  "devices-unheld": "FAILED_PRECONDITION",
  "fleet-syncing": "UNAVAILABLE",
  overloaded: "RESOURCE_EXHAUSTED",
  stopping: "UNAVAILABLE",
  "library-missing": "UNAVAILABLE",
  "library-failed": "UNAVAILABLE",
  "exporter-unreadable": "UNAVAILABLE",
  "file-invalid": "FAILED_PRECONDITION",
  "report-invalid": "INTERNAL",
  "server-unreachable": "INTERNAL",
  "address-unusable": "INTERNAL",
  "usage-invalid": "INTERNAL",
};

test.each(Object.entries(expected) as [FaultCode, string][])("%s is %s", (code, name) => {
  // The facts differ by code and do not matter here.
  const fault = new Fault(...([code, "Cannot do it", {}] as unknown as [never, never, never]));
  const error = faultError(fault);
  expect(codeName(error.code)).toBe(name);
  expect(error.rawMessage).toBe("Cannot do it");
});

test("codeName() names what is no status UNKNOWN", () => {
  expect(codeName(0)).toBe("OK");
  expect(codeName(99)).toBe("UNKNOWN");
  expect(codeName(Number.NaN)).toBe("UNKNOWN");
});
