/**
 * Evaluates an admission policy as the API server does: whether it is asked at all, its variables in
 * their order, each of which reads those before it, and its validations.
 *
 * The evaluator is another than the API server's. Of what Kubernetes adds to the language, policies
 * here use what both have: `matches`, and of the strings extension `join`, `quote` and `substring`.
 *
 * @module
 */
import { type CelInput, celEnv, parse, plan } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import type { ObjectOf } from "./kinds.ts";

type Metadata = Readonly<Record<string, string>>;
type Rules = Pick<
  ObjectOf<"ValidatingAdmissionPolicy">["spec"],
  "matchConditions" | "variables" | "validations"
>;

/** A ScaledObject or ScaledJob, as far as policies read it. */
export interface Scaled {
  readonly kind: "ScaledObject" | "ScaledJob";
  readonly spec: {
    readonly triggers: readonly { readonly type: string; readonly metadata: Metadata }[];
  };
}

const env = celEnv({ funcs: strings });

/** @returns What the policy says against an object that takes the place of another, or of none. */
export function policyOf({ matchConditions, variables, validations }: Rules) {
  const evaluators = (texts: readonly { readonly name: string; readonly expression: string }[]) =>
    texts.map(({ name, expression }) => ({ name, evaluate: evaluator(expression) }));
  const conditions = evaluators(matchConditions);
  const planned = evaluators(variables);
  const checks = validations.map(({ expression, messageExpression }) => ({
    holds: evaluator(expression),
    message: evaluator(messageExpression),
  }));
  return (scaled: Scaled, old?: Scaled): readonly string[] => {
    const known = new Map<string, CelInput>();
    const input = {
      object: inputOf(scaled),
      oldObject: old === undefined ? null : inputOf(old),
      variables: known,
    };
    if (conditions.some(({ evaluate }) => evaluate(input) !== true)) return [];
    for (const { name, evaluate } of planned) known.set(name, evaluate(input));
    return checks.flatMap(({ holds, message }) =>
      holds(input) === true ? [] : [String(message(input))],
    );
  };
}

function evaluator(expression: string) {
  const evaluate = plan(env, parse(expression));
  return (input: Record<string, CelInput>): CelInput => {
    const result = evaluate(input);
    if (result instanceof Error) throw result;
    return result;
  };
}

/** CEL's maps are Maps. */
function inputOf(value: unknown): CelInput {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(inputOf);
  return new Map(Object.entries(value ?? {}).map(([key, each]) => [key, inputOf(each)]));
}
