import { expect } from "bun:test";
import { Fault, type FaultCode } from "#core/fault.ts";

export function faultOf(call: () => unknown): Fault {
  try {
    call();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("It answered");
}

/** Also checks the form that every fault's message has. */
export function expectFault(
  call: () => unknown,
  code: FaultCode,
  ...parts: readonly string[]
): void {
  const fault = faultOf(call);
  expect(fault.code).toBe(code);
  expect(fault.message).toMatch(/^Cannot .+: .+; .+$/);
  for (const part of parts) expect(fault.message).toContain(part);
}
