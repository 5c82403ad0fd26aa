/** Documents that are made of the code's tables. */
import { basename } from "node:path";

const lineCharsMax = 120;

type Cell = string | number;
const cell = (value: Cell) => String(value).replaceAll("|", "\\|");

export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(headings), `|${"---|".repeat(headings.length)}`, ...rows.map(line)].join("\n");
}

/** Prose to the width of a document; headings, tables and code blocks as they are. */
function wrapped(block: string): string {
  if (/^(#|\||```)/.test(block)) return block;
  const lines: string[] = [];
  for (const word of block.split(/\s+/)) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > lineCharsMax) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join("\n");
}

export const code = (text: string) => `\`${text}\``;

/**
 * Writes a document, its prose wrapped; with `--check` among the arguments it changes nothing.
 *
 * @throws {Error} with `--check`, when the document is another.
 */
export async function written(path: string, text: string): Promise<void> {
  const document = documentOf(text);
  if (!Bun.argv.includes("--check")) await Bun.write(path, document);
  else if ((await Bun.file(path).text()) !== document)
    throw new Error(`docs/${basename(path)} is not current: run bun run gen`);
}

export function documentOf(text: string): string {
  return `${text.trimEnd().split("\n\n").map(wrapped).join("\n\n")}\n`;
}
