/**
 * Label selectors as Kubernetes writes them: `app=llm,tier!=test,zone in (a,b),!canary`.
 *
 * Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 *
 * @module
 */
export type Labels = Readonly<Record<string, string>>;

/** One term; a selector is the conjunction of its terms. */
export interface Term {
  readonly key: string;
  readonly operator: "in" | "notin" | "exists" | "absent";
  readonly values: readonly string[];
}

export type ParsedSelector =
  | { readonly terms: readonly Term[] }
  /** What is wrong with the text. */
  | { readonly problem: string };

const key = String.raw`(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?`;
const value = `(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?`;
const forms = {
  set: new RegExp(String.raw`^(${key})\s+(in|notin)\s*\(([^()]*)\)$`),
  equality: new RegExp(String.raw`^(${key})\s*(==|=|!=)\s*(${value})$`),
  presence: new RegExp(String.raw`^(!?)\s*(${key})$`),
  value: new RegExp(`^${value}$`),
};

/** @returns Terms, none for an empty text; or the problem, with the part that has it. */
export function parseSelector(text: string): ParsedSelector {
  if (text.trim() === "") return { terms: [] };
  const terms: Term[] = [];
  // A comma inside parentheses separates values, not terms.
  for (const part of text.split(/,(?![^(]*\))/)) {
    const term = parseTerm(part.trim());
    if (term === undefined)
      return { problem: `must be a Kubernetes label selector, got ${part.trim() || '""'}` };
    terms.push(term);
  }
  return { terms };
}

function parseTerm(text: string): Term | undefined {
  const [, setKey, setOperator, list] = forms.set.exec(text) ?? [];
  if (setKey !== undefined && list !== undefined) {
    const values = list.split(",").map((each) => each.trim());
    if (!values.every((each) => forms.value.test(each))) return undefined;
    return { key: setKey, operator: setOperator === "in" ? "in" : "notin", values };
  }
  const [, equalKey, sign, equalValue] = forms.equality.exec(text) ?? [];
  if (equalKey !== undefined && equalValue !== undefined)
    return { key: equalKey, operator: sign === "!=" ? "notin" : "in", values: [equalValue] };
  const [, negation, presenceKey] = forms.presence.exec(text) ?? [];
  if (presenceKey === undefined) return undefined;
  return { key: presenceKey, operator: negation === "!" ? "absent" : "exists", values: [] };
}

/** Whether labels fulfil every term. As in Kubernetes, an absent label is not in any set. */
export function matchesTerms(terms: readonly Term[], labels: Labels): boolean {
  return terms.every((term) => {
    const label = Object.hasOwn(labels, term.key) ? labels[term.key] : undefined;
    return holds[term.operator](label, term.values);
  });
}

type Holds = (label: string | undefined, values: readonly string[]) => boolean;

const holds: Readonly<Record<Term["operator"], Holds>> = {
  in: (label, values) => label !== undefined && values.includes(label),
  notin: (label, values) => label === undefined || !values.includes(label),
  exists: (label) => label !== undefined,
  absent: (label) => label === undefined,
};
