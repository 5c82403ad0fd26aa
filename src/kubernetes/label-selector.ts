/**
 * Label selectors as the API server reads them: `app=llm,tier!=test,zone in (a,b),!canary,gen>3`.
 *
 * Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and
 * https://pkg.go.dev/k8s.io/apimachinery/pkg/labels, `Parse` and `NewRequirement`, which also know
 * `<` and `>`.
 *
 * @module
 */

/** What an object's metadata says under `labels`. */
export type Labels = Readonly<Record<string, string>>;

/** One condition; a selector is the conjunction of its requirements. */
export interface SelectorRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  /** None for `Exists` and `DoesNotExist`; one integer for `Gt` and `Lt`. */
  readonly values: readonly string[];
}

export type ParsedSelector =
  | { readonly requirements: readonly SelectorRequirement[] }
  /** What is wrong with the text. */
  | { readonly problem: string };

// A name has at most 63 characters, and so has a value; the prefix of a key is a DNS subdomain.
const name = "[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const dnsLabel = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const prefix = String.raw`(?=[^/]{1,253}/)${dnsLabel}(?:\.${dnsLabel})*/`;
const key = `(?:${prefix})?${name}`;
const value = `(?:${name})?`;
const presence = new RegExp(String.raw`^(!?)\s*(${key})$`);
const comparison = new RegExp(
  String.raw`^(${key})(?:\s*([=!<>]=?)\s*(${value})|\s+(in|notin)\s*\(([^()]*)\))$`,
);
const wholeValue = new RegExp(`^${value}$`);

/**
 * Takes whatever `parseSelector` finds requirements in, and some texts more: without looking ahead
 * a pattern does not count a prefix's characters, nor does it know which integers fit 64 bits.
 */
export const selectorLike = (() => {
  const plainKey = `(${dnsLabel}([.]${dnsLabel})*/)?${name}`;
  const set = String.raw`\(\s*${value}\s*(,\s*${value}\s*)*\)`;
  const compared = String.raw`\s*(==?|!=)\s*${value}|\s*[<>]\s*[0-9]{1,63}|\s+(in|notin)\s*${set}`;
  const requirement = String.raw`\s*(!\s*${plainKey}|${plainKey}(${compared})?)\s*`;
  return new RegExp(`^${requirement}(,${requirement})*$`);
})();

const operators: Readonly<Record<string, SelectorRequirement["operator"]>> = {
  "=": "In",
  "==": "In",
  in: "In",
  "!=": "NotIn",
  notin: "NotIn",
  ">": "Gt",
  "<": "Lt",
};

/** @returns Requirements, none for an empty text; or the problem, with the part that has it. */
export function parseSelector(text: string): ParsedSelector {
  if (text.trim() === "") return { requirements: [] };
  const requirements: SelectorRequirement[] = [];
  // A comma inside parentheses separates values, any other one requirements.
  for (const part of text.split(/,(?![^(]*\))/)) {
    const requirement = parseRequirement(part.trim());
    if (requirement === undefined)
      return { problem: `must be a Kubernetes label selector, got ${part.trim() || '""'}` };
    requirements.push(requirement);
  }
  return { requirements };
}

function parseRequirement(text: string): SelectorRequirement | undefined {
  const [, negation, presenceKey] = presence.exec(text) ?? [];
  if (presenceKey !== undefined)
    return { key: presenceKey, operator: negation === "!" ? "DoesNotExist" : "Exists", values: [] };
  const [, comparedKey, sign, single = "", word, list] = comparison.exec(text) ?? [];
  const operator = operators[sign ?? word ?? ""];
  if (comparedKey === undefined || operator === undefined) return undefined;
  const values = list === undefined ? [single] : list.split(",").map((each) => each.trim());
  const isValue = operator === "Gt" || operator === "Lt" ? isInteger : isLabelValue;
  return values.every(isValue) ? { key: comparedKey, operator, values } : undefined;
}

const isLabelValue = (text: string) => wholeValue.test(text);
const isInteger = (text: string) => integerOf(text) !== undefined;

/**
 * Whether labels fulfil every requirement. As at the API server, a label that is absent is in no
 * set, and one that is no integer is neither above nor below any.
 */
export function matchesLabels(
  requirements: readonly SelectorRequirement[],
  labels: Labels,
): boolean {
  return requirements.every((requirement) => {
    const label = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
    return matchers[requirement.operator](label, requirement.values);
  });
}

const matchers: Readonly<
  Record<
    SelectorRequirement["operator"],
    (label: string | undefined, values: readonly string[]) => boolean
  >
> = {
  In: (label, values) => label !== undefined && values.includes(label),
  NotIn: (label, values) => label === undefined || !values.includes(label),
  Exists: (label) => label !== undefined,
  DoesNotExist: (label) => label === undefined,
  Gt: (label, values) => compares(label, values, (one, other) => one > other),
  Lt: (label, values) => compares(label, values, (one, other) => one < other),
};

function compares(
  label: string | undefined,
  [bound = ""]: readonly string[],
  holds: (one: bigint, other: bigint) => boolean,
): boolean {
  const [one, other] = [integerOf(label ?? ""), integerOf(bound)];
  return one !== undefined && other !== undefined && holds(one, other);
}

/** As Go's `strconv.ParseInt` reads what a label may hold: it has no sign, and fits 64 bits. */
function integerOf(text: string): bigint | undefined {
  if (!/^\d{1,63}$/.test(text)) return undefined;
  const integer = BigInt(text);
  return BigInt.asIntN(64, integer) === integer ? integer : undefined;
}
