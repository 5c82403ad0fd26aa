/**
 * The small changes that `mutate.ts` makes to a source file, found in its syntax tree.
 *
 * Types, imports, property names and text meant for people are left alone: no test should pin them.
 *
 * @module
 */
import { type Node, parseSync, visitorKeys } from "oxc-parser";

/** One change: the text from `start` to `end` becomes `text`. */
export interface Mutant {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The nodes around a node, nearest first. */
type Ancestors = readonly Node[];

const swappedOperators: Readonly<Record<string, readonly string[]>> = {
  ">": [">=", "<="],
  ">=": [">", "<"],
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  "===": ["!=="],
  "!==": ["==="],
  "==": ["!="],
  "!=": ["=="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "**": ["*"],
  "<<": [">>"],
  ">>": ["<<"],
  ">>>": ["<<"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "&&": ["||"],
  "||": ["&&"],
  "??": ["&&"],
  "+=": ["-="],
  "-=": ["+="],
  "*=": ["/="],
  "/=": ["*="],
  "??=": ["="],
  "||=": ["="],
  "&&=": ["="],
  "++": ["--"],
  "--": ["++"],
};

const swappedMethods: Readonly<Record<string, string>> = {
  every: "some",
  some: "every",
  min: "max",
  max: "min",
  floor: "ceil",
  ceil: "floor",
  startsWith: "endsWith",
  endsWith: "startsWith",
};

/** Methods whose receiver has the type of their result, so that the call can be left out. */
const droppedMethods = new Set(
  ["filter", "slice", "trim", "toLowerCase", "toUpperCase"].concat([
    "toSorted",
    "toReversed",
    "sort",
    "reverse",
  ]),
);

/** What is handed to these is for people. */
const messageTakers = /^(assert|log|Fault|([A-Z]\w*)?Error)$/;

/** Every mutant of a source file, by place. Those of one place differ in `text` alone. */
export function mutantsOf(path: string, source: string): Mutant[] {
  const { program, errors } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`Cannot parse ${path}: ${errors[0]?.message}`);

  const found: Mutant[] = [];
  const visit = (node: Node, ancestors: Ancestors): void => {
    if (isUntouched(node)) return;
    found.push(...mutantsAt(node, ancestors, source));
    const within = [node, ...ancestors];
    for (const child of childrenOf(node)) visit(child, within);
  };
  visit(program, []);
  return found.filter(({ start, end, text }) => source.slice(start, end) !== text);
}

/** The changed source, or nothing when it is no longer TypeScript. */
export function mutated(path: string, source: string, mutant: Mutant): string | undefined {
  const text = source.slice(0, mutant.start) + mutant.text + source.slice(mutant.end);
  return parseSync(path, text).errors.length === 0 ? text : undefined;
}

const typedExpressions = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
]);

function isUntouched(node: Node): boolean {
  if (node.type === "ImportDeclaration" || node.type === "ExportAllDeclaration") return true;
  if (node.type === "ExportNamedDeclaration" && node.source !== null) return true;
  return node.type.startsWith("TS") && !typedExpressions.has(node.type);
}

function childrenOf(node: Node): Node[] {
  const keys = visitorKeys[node.type] ?? [];
  return keys
    .filter((key) => key !== "key" || ("computed" in node && node.computed))
    .flatMap((key) => {
      const value: unknown = node[key as keyof Node];
      return (Array.isArray(value) ? value : [value]).filter(isNode);
    });
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value;

function mutantsAt(node: Node, ancestors: Ancestors, source: string): Mutant[] {
  const whole = (kind: string, ...texts: readonly string[]) =>
    texts.map((text) => ({ kind, start: node.start, end: node.end, text }));
  switch (node.type) {
    case "BinaryExpression":
      return isConcatenation(node)
        ? []
        : swapped(node.operator, node.left.end, node.right.start, source);
    case "LogicalExpression":
    case "AssignmentExpression":
      return swapped(node.operator, node.left.end, node.right.start, source);
    case "UpdateExpression":
      return swapped(node.operator, node.start, node.end, source);
    case "UnaryExpression":
      return /^[!-]$/.test(node.operator)
        ? whole("operator left out", source.slice(node.start + 1, node.end))
        : [];
    case "IfStatement":
    case "ConditionalExpression":
      return constant(node.test, ["true", "false"]);
    case "WhileStatement":
    case "ForStatement":
      return constant(node.test, ["false"]);
    case "CallExpression":
      return callMutants(node, source);
    case "ExpressionStatement":
      return isEffect(node.expression) ? whole("statement left out", ";") : [];
    case "ArrayExpression":
      return node.elements.length === 0 ? [] : whole("emptied", "[]");
    case "ObjectExpression":
      return node.properties.length === 0 || isMessage(ancestors) ? [] : whole("emptied", "{}");
    case "TemplateLiteral":
      return isMutableTemplate(node, ancestors) ? whole("text", '""') : [];
    case "Literal":
      return whole("literal", ...literals(node, ancestors));
    default:
      return [];
  }
}

function swapped(operator: string, from: number, to: number, source: string): Mutant[] {
  const start = source.indexOf(operator, from);
  const end = start + operator.length;
  if (start < 0 || end > to) return [];
  const texts = swappedOperators[operator] ?? [];
  return texts.map((text) => ({ kind: "operator", start, end, text }));
}

function constant(test: Node | null, texts: readonly string[]): Mutant[] {
  if (test === null) return [];
  const { start, end } = test;
  return texts.map((text) => ({ kind: "condition", start, end, text }));
}

function callMutants(node: Node & { type: "CallExpression" }, source: string): Mutant[] {
  const { callee } = node;
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return [];
  const { name, start, end } = callee.property;
  const other = swappedMethods[name];
  if (other !== undefined) return [{ kind: "method", start, end, text: other }];
  if (!droppedMethods.has(name)) return [];
  const receiver = source.slice(node.start, start).replace(/\??\.\s*$/, "");
  return [{ kind: "call left out", start: node.start, end: node.end, text: receiver }];
}

/** An assertion holds whenever the code is right, so no test can tell that one is missing. */
function isEffect(expression: Node): boolean {
  switch (expression.type) {
    case "AwaitExpression":
    case "UnaryExpression":
      return isEffect(expression.argument);
    case "ChainExpression":
      return isEffect(expression.expression);
    case "CallExpression":
      return expression.callee.type !== "Super" && nameOf(expression.callee) !== "assert";
    default:
      return expression.type === "AssignmentExpression";
  }
}

function literals(node: Node & { type: "Literal" }, ancestors: Ancestors): string[] {
  const { value } = node;
  if ("regex" in node && node.regex !== null) return unanchored(node.regex);
  if (typeof value === "boolean") return [String(!value)];
  if (typeof value === "bigint") return [`${value + 1n}n`];
  if (typeof value === "number") return [value + 1, value - 1, value * 2].map(String).filter(plain);
  if (typeof value !== "string" || isMessage(ancestors) || isProse(value)) return [];
  const parent = ancestors[0];
  const comparesTypes =
    parent?.type === "BinaryExpression" &&
    parent.left.type === "UnaryExpression" &&
    parent.left.operator === "typeof";
  return comparesTypes ? [] : [value === "" ? '"mutated"' : '""'];
}

/** A negative number would not parse everywhere, and -1 for 0 is rarely a likely mistake. */
const plain = (text: string) => /^[\d.]+$/.test(text);

function unanchored({ pattern, flags }: { pattern: string; flags: string }): string[] {
  const texts: string[] = [];
  if (/^\^./.test(pattern)) texts.push(`/${pattern.slice(1)}/${flags}`);
  if (/[^\\]\$$/.test(pattern)) texts.push(`/${pattern.slice(0, -1)}/${flags}`);
  return texts;
}

function isConcatenation({ operator, left, right }: Node & { type: "BinaryExpression" }): boolean {
  const isText = (node: Node) =>
    node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node.value === "string");
  return operator === "+" && (isText(left) || isText(right));
}

function isMutableTemplate(
  { quasis }: Node & { type: "TemplateLiteral" },
  ancestors: Ancestors,
): boolean {
  if (isMessage(ancestors) || ancestors[0]?.type === "TaggedTemplateExpression") return false;
  return !isProse(quasis.map(({ value }) => value.raw).join(""));
}

/** Names and keys hold no blank; sentences do. */
const isProse = (text: string): boolean => /\s/.test(text);

/** Whether a text is part of what a failure, an assertion or a log line says. */
function isMessage(ancestors: Ancestors): boolean {
  return ancestors.some(
    (node) =>
      (node.type === "CallExpression" || node.type === "NewExpression") &&
      messageTakers.test(nameOf(node.callee)),
  );
}

function nameOf(callee: Node): string {
  if (callee.type === "Identifier") return callee.name;
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return "";
  return callee.property.name;
}
