/**
 * Rules for the code that no linter knows. Each takes parsed files and returns what breaks it.
 *
 * @module
 */
import { type Expression, type Function as FunctionNode, type Program, Visitor } from "oxc-parser";
import { type Finding, lineOf, roomOf, type SourceFile } from "./sources.ts";
import { compounds, retiredTypes, retiredWords } from "./words.ts";

/** A type name that one file exports and another declares too: one word, one meaning. */
export function repeatedTypes(files: readonly SourceFile[]): readonly Finding[] {
  const declared = files.flatMap(({ path, program }) =>
    typeNames(program).map((type) => ({ path, ...type })),
  );
  return declared.filter(isRepeated).map(({ name, path }) => ({ key: name, where: path }));

  function isRepeated({ name, path }: (typeof declared)[number]): boolean {
    const all = declared.filter((other) => other.name === name);
    return all.some(({ exported }) => exported) && all.some((other) => other.path !== path);
  }
}

interface TypeName {
  readonly name: string;
  readonly start: number;
  readonly exported: boolean;
}

function typeNames({ body }: Program): readonly TypeName[] {
  const exportedLater = new Set(
    body.flatMap((statement) =>
      statement.type === "ExportNamedDeclaration" && statement.source === null
        ? statement.specifiers.map(({ local }) => ("name" in local ? local.name : local.value))
        : [],
    ),
  );
  return body.flatMap((statement) => {
    const isExport = statement.type === "ExportNamedDeclaration";
    const declaration = isExport ? statement.declaration : statement;
    if (
      declaration?.type !== "TSInterfaceDeclaration" &&
      declaration?.type !== "TSTypeAliasDeclaration" &&
      declaration?.type !== "ClassDeclaration"
    )
      return [];
    const name = declaration.id?.name ?? "";
    const exported = isExport || exportedLater.has(name);
    return [{ name, start: declaration.start, exported }];
  });
}

/** Identifiers, local ones too, and file names that use a retired word. */
export function retired(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap(({ path, text, program }) => {
    const findings: Finding[] = [];
    const room = roomOf(path);
    const report = (word: string, hint: string | undefined, name: string, start: number) =>
      findings.push({
        key: `${room} ${word}`,
        where: `${path}:${lineOf(text, start)} ${name}; say for example ${hint}`,
      });
    const check = (name: string, start: number) => {
      for (const word of retiredIn(name)) report(word, retiredWords[word], name, start);
    };
    check(path.slice(path.lastIndexOf("/") + 1), 0);
    for (const { name, start } of typeNames(program))
      if (Object.hasOwn(retiredTypes, name)) report(name, retiredTypes[name], name, start);
    new Visitor({
      Identifier: ({ name, start }) => check(name, start),
      PrivateIdentifier: ({ name, start }) => check(name, start),
    }).visit(program);
    return findings;
  });
}

/** The retired words of a name: `lookAtEyes` has `look` and `eye`, `lookUp` and `standard` none. */
export function retiredIn(name: string): readonly string[] {
  const parts = (name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? []).map((part) =>
    part.toLowerCase(),
  );
  return parts.flatMap((part, index) => {
    const word = retiredForms.get(part);
    const next = parts[index + 1];
    const isCompound = word !== undefined && next !== undefined && compounds[word] === next;
    return word === undefined || isCompound ? [] : [word];
  });
}

const retiredForms: ReadonlyMap<string, string> = new Map(
  Object.keys(retiredWords).flatMap((word) =>
    ["", "s", "es", "ed", "ing"].map((ending) => [word + ending, word] as const),
  ),
);

/**
 * Numbers that are limits and stand outside `src/core/limits.ts`: constants of a module, and
 * members of objects whose name says that they are a bound, a size or a time.
 *
 * @param fixed Names of numbers that nobody chose.
 */
export function looseLimits(
  files: readonly SourceFile[],
  fixed: ReadonlySet<string>,
): readonly Finding[] {
  return files
    .filter(({ path }) => path !== "src/core/limits.ts")
    .flatMap((file) => numbers(file))
    .filter(({ key }) => !fixed.has(key));
}

/** Every number that has a name and would be a limit, were it not conversion or protocol. */
export function numbers({ path, text, program }: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  const report = (name: string, start: number) =>
    findings.push({ key: name, where: `${path}:${lineOf(text, start)} ${name}` });
  for (const statement of program.body) {
    const declaration =
      statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (declaration?.type !== "VariableDeclaration") continue;
    for (const { id, init, start } of declaration.declarations)
      if (id.type === "Identifier" && init !== null && isNumber(init)) report(id.name, start);
  }
  new Visitor({
    Property: ({ key, value, start }) => {
      if (key.type !== "Identifier" || !limitName.test(key.name)) return;
      if (isNumber(value) && !["0", "1"].includes(text.slice(value.start, value.end)))
        report(key.name, start);
    },
  }).visit(program);
  return findings;
}

const limitName = /[a-z0-9](Max|Least|Most|Ms|Bytes|Intervals|Chars)$/;

/** A number, or arithmetic on numbers. One in hexadecimal is a code or bits, and no limit. */
function isNumber(node: { readonly type: string }): boolean {
  const expression = node as Expression;
  switch (expression.type) {
    case "Literal":
      return typeof expression.value === "number" && !expression.raw?.startsWith("0x");
    case "UnaryExpression":
      return isNumber(expression.argument);
    case "BinaryExpression":
      return isNumber(expression.left) && isNumber(expression.right);
    case "ParenthesizedExpression":
      return isNumber(expression.expression);
    default:
      return false;
  }
}

/**
 * Functions of more lines than a screen shows, from their first line to their closing brace. The
 * linter has a rule like it, which counts neither the lines of a template nor of a signature.
 */
export function longFunctions(files: readonly SourceFile[], linesMax: number): readonly Finding[] {
  return files.flatMap(({ path, text, program }) => {
    const findings: Finding[] = [];
    const check = ({ start, end }: Pick<FunctionNode, "start" | "end">) => {
      const lines = text.slice(start, end).split("\n").length;
      if (lines > linesMax)
        findings.push({ key: path, where: `${path}:${lineOf(text, start)} has ${lines} lines` });
    };
    new Visitor({
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
    }).visit(program);
    return findings;
  });
}
