/**
 * What is fuzzed: each thing that reads what others wrote, and what must hold whatever they wrote.
 *
 * @module
 */
import { Fault, type FaultCode } from "#core/fault.ts";
import type { Draws } from "./draws.ts";

/** Makes another input of one that there is; `other` is a second one to take parts from. */
export type Mutate = (draws: Draws, input: Buffer, other: Buffer) => Buffer;

export interface Target {
  readonly name: string;
  /** Inputs to begin with: what the reader sees when nobody means it harm. */
  readonly corpus: () => readonly Buffer[];
  readonly mutate: Mutate;
  /**
   * Reads an input.
   *
   * @returns What came of it in few words: an input that gave a new outcome is mutated on.
   * @throws Whatever breaks a promise: see `promise`.
   */
  readonly run: (input: Buffer) => string | Promise<string>;
  /** Of a target that waits for sockets: how many inputs are run at once. */
  readonly inFlight?: number;
  /** Inputs in the test that CI runs. */
  readonly testInputs: number;
  /** Inputs of a long run for each million of it: cheap readers get more. */
  readonly share: number;
  readonly close?: () => Promise<void>;
}

/** Something that must hold whatever the input is. */
export function promise(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Error(`A promise is broken: ${what()}`);
}

/** `Cannot X: rule, value; what to do`. */
const faultForm = /^Cannot [^\n]+?: [^\n]+; [^\n]+$/;
/** Names and texts of others are cut, but a message lists every problem there is. */
const faultCharsMax = 64 * 1024;

/**
 * @returns What `read` gives, or the fault by which it refuses.
 * @throws What else it throws: a bug, or a fault of another code or form than is documented.
 */
export function refusable<Result>(
  codes: readonly FaultCode[],
  read: () => Result,
):
  | { readonly result: Result; readonly fault?: never }
  | { readonly result?: never; readonly fault: Fault } {
  try {
    return { result: read() };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    promise(codes.includes(error.code), () => `a fault is ${codes.join(" or ")}: ${error.code}`);
    const { message } = error;
    promise(faultForm.test(message), () => `a fault says what to do: ${message}`);
    promise(
      message.length <= faultCharsMax,
      () => `a fault is short: ${message.length} characters`,
    );
    return { fault: error };
  }
}

/** An outcome without the names and numbers in it, so that few inputs are kept for each rule. */
export function outcomeOf(text: string): string {
  return text
    .slice(0, 600)
    .replaceAll(/"(?:[^"\\]|\\.)*"?/g, '""')
    .replaceAll(/\d+/g, "0")
    .slice(0, 120);
}

/** Compares as `expect().toEqual()` does, some ten times as fast. */
export function promiseEqual(one: unknown, other: unknown, what: string): void {
  promise(Bun.deepEquals(one, other), () => `${what}: ${shown(one)} is not ${shown(other)}`);
}

function shown(value: unknown): string {
  return Bun.inspect(value, { depth: 6 }).slice(0, 2_000);
}
