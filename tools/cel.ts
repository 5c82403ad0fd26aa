/** The Common Expression Language as Kubernetes speaks it: pieces of expressions. */

/** A text literal. JSON's escapes are CEL's too. */
export const literal = (text: string) => JSON.stringify(text);
export const list = (texts: readonly string[]) => `[${texts.map(literal).join(", ")}]`;
export const map = (entries: readonly (readonly [key: string, value: string])[]) =>
  `{${entries.map(([key, value]) => `${literal(key)}: ${value}`).join(", ")}}`;

export const not = (condition: string) => `!(${condition})`;
export const every = (...conditions: readonly string[]) => joined(conditions, " && ");
export const some = (...conditions: readonly string[]) => joined(conditions, " || ");

function joined(conditions: readonly string[], operator: string): string {
  return conditions.length === 1 ? (conditions[0] ?? "") : `(${conditions.join(operator)})`;
}

/** The first value whose condition holds, else the last. */
export function firstOf(
  choices: readonly (readonly [condition: string, value: string])[],
  otherwise: string,
): string {
  return choices.reduceRight(
    (rest, [condition, value]) => `(${condition} ? ${value} : ${rest})`,
    otherwise,
  );
}

/** Text with expressions in it: says`got ${"text.engine"}`. */
export function says(parts: TemplateStringsArray, ...expressions: readonly string[]): string {
  const pieces = parts.flatMap((part, at) => [
    ...(part === "" ? [] : [literal(part)]),
    ...(expressions[at] === undefined ? [] : [expressions[at]]),
  ]);
  return pieces.join(" + ");
}

/**
 * A pattern of JavaScript as RE2 writes it.
 *
 * @returns `undefined` where RE2 has no such pattern.
 */
export function re2({ source, flags }: RegExp): string | undefined {
  if (/\(\?[=!<]|\\[1-9kpPuBb]|\[[^\]]*\\s/.test(source) || /[^i]/.test(flags)) return undefined;
  const spaces = String.raw`[\s\v\p{Z}\x{FEFF}]`;
  const pattern = source.replaceAll(String.raw`\s`, spaces).replaceAll(String.raw`\/`, "/");
  return flags === "i" ? `(?i)${pattern}` : pattern;
}
