/**
 * How commands name a ScaledObject or ScaledJob that a running scaler knows.
 *
 * @module
 */
import { didYouMean } from "#core/closest.ts";
import type { Fault } from "#core/fault.ts";
import type { ScaledName, Status } from "#observe/status.ts";
import { usage } from "./arguments.ts";

/** One object, or all. */
export const objectOperand = {
  value: "NAMESPACE/NAME",
  rule: "must be the namespace and name of a ScaledObject or ScaledJob, with a / between",
  help: "One object; without it, a line for each",
  least: 0,
  most: 1,
  parse: (text: string) => (/^[^/]+\/[^/]+$/.test(text) ? text : undefined),
} as const;

/** @param text As the operand has it. */
export function objectNamed(text: string): ScaledName {
  const [namespace = "", name = ""] = text.split("/");
  return { namespace, name };
}

export function objectText({ namespace, name }: ScaledName): string {
  return `${namespace}/${name}`;
}

export function unknownObject(command: string, object: ScaledName, { triggers }: Status): Fault {
  const names = [...new Set(triggers.map(objectText))];
  const hint =
    didYouMean(objectText(object), names) ||
    "; explain without a name lists those that it knows; see that the trigger's scalerAddress names this scaler's Service";
  return usage(command, `the scaler knows no trigger of ${objectText(object)}${hint}`);
}
