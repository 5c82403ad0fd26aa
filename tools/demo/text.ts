/** How the demo writes: times, colours, bars and lines that fit. */

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (colour: Colour, text: string) => string;

const codes: Readonly<Record<Colour, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  cyan: 36,
};

export const coloured: Paint = (colour, text) =>
  text === "" ? "" : `\x1b[${codes[colour]}m${text}\x1b[0m`;
export const plain: Paint = (_colour, text) => text;

/** `hours:minutes:seconds` of the simulation. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

export interface BarOptions {
  readonly width: number;
  readonly colour: Colour;
  /** Where a mark stands, as a share of the width. */
  readonly mark?: number;
}

const eighths = " ▏▎▍▌▋▊▉";

/** @param share Of the width; what is above 1 fills it. */
export function bar(share: number, { width, colour, mark }: BarOptions, paint: Paint): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const whole = Math.floor(filled / 8);
  const part = eighths.charAt(filled % 8).trim();
  const cells = `${"█".repeat(whole)}${part}`.padEnd(width, "·");
  const done = whole + part.length;
  const piece = (from: number, to: number) => {
    const end = Math.min(to, Math.max(from, done));
    return `${paint(colour, cells.slice(from, end))}${paint("dim", cells.slice(end, to))}`;
  };
  if (mark === undefined) return piece(0, width);
  const at = Math.floor(mark * width);
  return `${piece(0, at)}${paint("bold", "┃")}${piece(at + 1, width)}`;
}

/** Lines of at most `width` characters; all but the first are indented. */
export function wrapped(text: string, width: number, indent: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= width || line.trim() === "") {
      line = longer;
      continue;
    }
    lines.push(line);
    line = `${" ".repeat(indent)}${word}`;
  }
  return [...lines, line];
}
