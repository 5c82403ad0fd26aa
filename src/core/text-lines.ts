/** Lines for people to read. */

/** Prose on as many lines as it needs; a word longer than a line is broken. */
export function proseLines(text: string, width: number): readonly string[] {
  const words = text
    .split(" ")
    .flatMap((word) => word.match(new RegExp(`.{1,${width}}`, "gu")) ?? []);
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** The same behind a heading, which the other lines are indented by. */
export function headedLines(heading: string, text: string, width: number): readonly string[] {
  return proseLines(text, width - heading.length).map(
    (line, at) => `${at === 0 ? heading : " ".repeat(heading.length)}${line}`,
  );
}

/** A table: each cell as wide as the widest of its column. */
export function columnLines(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
