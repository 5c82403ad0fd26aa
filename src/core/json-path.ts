/**
 * JSONPath queries (RFC 9535) whose cost is bounded: they come from users and pages come from tenants,
 * and both are read on the thread that answers.
 *
 * Left out is what can cost more than one visit of each value: descendants (`..`), functions, regular
 * expressions among them, and filters that look at more than one value of an element or at the root.
 *
 * @module
 */
import {
  compile,
  JSONPathNode,
  type JSONPathQuery,
  type JSONValue,
  jsonpath,
  TokenKind,
} from "json-p3";
import { jsonPathCharsMax, jsonPathTermsMax, jsonPathVisitsMax } from "./limits.ts";

export interface JsonPath {
  readonly select: (root: unknown) => JsonSelection;
}

/**
 * Values in the order of the page; none where the page has the array or object that is gone through, and
 * nothing in it fits.
 */
export type JsonSelection =
  | { readonly values: readonly unknown[] }
  /** The query up to the first part of which the page has nothing. */
  | { readonly missing: string }
  /** How many values it would go through. */
  | { readonly visits: number };

type Segment = JSONPathQuery["segments"][number];
type Selector = Segment["selectors"][number];
type Expression = InstanceType<typeof FilterSelector>["expression"]["expression"];

const { FilterSelector, NameSelector, SliceSelector, WildcardSelector } = jsonpath.selectors;
const { FilterExpressionLiteral, InfixExpression, LogicalExpression, PrefixExpression } =
  jsonpath.expressions;
const { RelativeQuery } = jsonpath.expressions;

/** @returns `undefined` for a text that is no such query, or one that costs too much. */
export function jsonPath(text: string): JsonPath | undefined {
  if (text.length > jsonPathCharsMax) return undefined;
  const query = parsed(text);
  if (query === undefined || termsOf(query) > jsonPathTermsMax) return undefined;
  const { segments } = query;
  return { select: (root) => selection(segments, root as JSONValue) };
}

function parsed(text: string): JSONPathQuery | undefined {
  try {
    return compile(text);
  } catch {
    // Whatever the parser finds wrong: the rule for the key says what a query is.
    return undefined;
  }
}

/** How much each visited value costs; infinite for what is left out. */
function termsOf({ segments }: JSONPathQuery): number {
  return sum(segments, (segment) =>
    isDescendant(segment) ? Number.POSITIVE_INFINITY : sum(segment.selectors, selectorTerms),
  );
}

function selectorTerms(selector: Selector): number {
  if (selector instanceof FilterSelector) return 1 + expressionTerms(selector.expression);
  return isLooseName(selector) ? Number.POSITIVE_INFINITY : 1;
}

/** RFC 9535 has such names in quotes alone, and `@.length-1` would be the name of something. */
function isLooseName(selector: Selector): boolean {
  return (
    selector instanceof NameSelector &&
    selector.token.kind === TokenKind.NAME &&
    selector.name.includes("-")
  );
}

function expressionTerms(expression: Expression): number {
  if (expression instanceof LogicalExpression) return expressionTerms(expression.expression);
  if (expression instanceof PrefixExpression) return 1 + expressionTerms(expression.right);
  if (expression instanceof FilterExpressionLiteral) return 1;
  if (expression instanceof RelativeQuery && expression.path.singularQuery())
    return 1 + termsOf(expression.path);
  if (!(expression instanceof InfixExpression)) return Number.POSITIVE_INFINITY;
  const { left, right, logical } = expression;
  // Two arrays of a page would be compared value by value.
  const isBounded =
    logical || left instanceof FilterExpressionLiteral || right instanceof FilterExpressionLiteral;
  return isBounded ? expressionTerms(left) + expressionTerms(right) : Number.POSITIVE_INFINITY;
}

function selection(segments: readonly Segment[], root: JSONValue): JsonSelection {
  let nodes = [new JSONPathNode(root, [], root)];
  for (const [at, segment] of segments.entries()) {
    const visits = sum(nodes, ({ value }) =>
      sum(segment.selectors, (selector) => (isOpen(selector) ? childrenOf(value) : 1)),
    );
    if (visits > jsonPathVisitsMax) return { visits };
    const found = segment.resolve(nodes);
    if (found.length === 0)
      return nodes.every(({ value }) => segment.selectors.every((one) => canHave(one, value)))
        ? { values: [] }
        : {
            missing: `$${segments
              .slice(0, at + 1)
              .map(String)
              .join("")}`,
          };
    nodes = found;
  }
  return { values: nodes.map(({ value }) => value) };
}

/** Whether it goes through the children of a value, of which there may be none. */
function isOpen(selector: Selector): boolean {
  return [FilterSelector, SliceSelector, WildcardSelector].some((kind) => selector instanceof kind);
}

function canHave(selector: Selector, value: JSONValue): boolean {
  if (!isOpen(selector)) return false;
  return Array.isArray(value) || (isObject(value) && !(selector instanceof SliceSelector));
}

function childrenOf(value: JSONValue): number {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : 0;
}

function isObject(value: JSONValue): value is { readonly [key: string]: JSONValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDescendant(segment: Segment): boolean {
  return segment.toString().startsWith("..");
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
