/**
 * Rules for the Markdown documents.
 *
 * @module
 */
import { posix } from "node:path";

/** A document's line fits beside another window; a table's row cannot be wrapped. */
export const lineCharsMax = 120;

/** Lines that are too long, as `number: how many characters`; tables have their own width. */
export function longLines(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.length > lineCharsMax && !line.startsWith("|"))
    .map(({ line, number }) => `${number}: ${line.length} characters`);
}

/** The ids by which links name a document's headings: as GitHub makes them. */
export function headingIds(text: string): readonly string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/**
 * Paths that a document names in code (in backticks, in shell blocks) and the repository lacks.
 *
 * @param document Its path from the root.
 * @param files Every file of the repository, from its root.
 */
export function missingPaths(
  document: string,
  text: string,
  files: readonly string[],
): readonly string[] {
  const folders = new Set(files.flatMap(foldersOf));
  const known = new Set([...files, ...folders]);
  const baseNames = new Set(files.map((file) => posix.basename(file)));
  const folder = posix.dirname(document);
  const from = (word: string) => posix.join(folder, word);

  return pathsOf(text).filter((word) => {
    if (!word.includes("/")) return !baseNames.has(word);
    const path = word
      .replace(/\/$/, "")
      .replace(/^#(?!gen\/)/, "src/")
      .replace(/^#/, "");
    if (known.has(path) || known.has(from(path))) return false;
    const [first = ""] = path.split("/");
    return folders.has(first) || folders.has(from(first)) || hasExtension(path);
  });
}

function foldersOf(file: string): readonly string[] {
  const segments = file.split("/").slice(0, -1);
  return segments.map((_segment, index) => segments.slice(0, index + 1).join("/"));
}

const extensions = ["ts", "mjs", "json", "yaml", "yml", "md", "proto", "toml", "tpl", "svg"];
const hasExtension = (path: string) => extensions.includes(posix.extname(path).slice(1));

/** Words in code that are a path, or the name of a file of a kind that the repository has. */
function pathsOf(text: string): readonly string[] {
  const words = codeOf(text)
    .flatMap((code) => code.split(/\s+/))
    .map((word) => word.replace(/[,;:.)]+$/, "").replace(/^\(/, ""))
    // Neither what is a pattern, an option, a URL nor a path of another machine.
    .filter((word) => /^[#.\w][\w.@/-]*$/.test(word) && !/^(\.\.?\/|dist\/)/.test(word));
  return [...new Set(words)].filter((word) => word.includes("/") || hasExtension(word));
}

/** Code of a document: spans in backticks, and blocks but those in another language than shell. */
function codeOf(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  const shell = blocks.filter(([, language]) => language === "sh" || language === "");
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  const indented = prose.match(/^ {4}\S.*$/gm) ?? [];
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
  return [...shell.map(([, , code = ""]) => code), ...indented, ...spans];
}
