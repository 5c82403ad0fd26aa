/**
 * A terminal: what happened scrolls up, and below it stands the panel, drawn anew each time.
 *
 * @module
 */
export interface Screen {
  /** @param news Lines that stay, above the panel. */
  readonly draw: (news: readonly string[], panel: readonly string[]) => void;
  /** Takes the panel away and gives the cursor back; calling it again does nothing. */
  readonly close: () => void;
}

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  readonly write: (text: string) => void;
}

const hideCursor = "\x1b[?25l";
const showCursor = "\x1b[?25h";
const clearAll = "\x1b[2J\x1b[H";
const clearBelow = "\x1b[J";
const clearLine = "\x1b[K";
const up = (lines: number) => (lines === 0 ? "\r" : `\x1b[${lines}A\r`);

export function screen(terminal: Terminal, width: number): Screen {
  let drawn = 0;
  let columns = terminal.columns;
  let isOpen = true;
  const { write } = terminal;
  write(hideCursor);
  return {
    draw: (news, panel) => {
      // Where lines broke after a resize nobody knows.
      const isResized = terminal.columns !== columns;
      columns = terminal.columns;
      const needs = `The demo needs ${width} columns and ${panel.length + 1} rows.`;
      const fits = columns >= width && terminal.rows > panel.length;
      const shown = fits ? panel : [needs.slice(0, columns - 1)];
      const lines = fits ? [...news, ...shown] : shown;
      const text = lines.map((line) => `${line}${clearLine}\n`).join("");
      write(`${isResized ? clearAll : up(drawn)}${text}${clearBelow}`);
      drawn = shown.length;
    },
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      write(`${up(drawn)}${clearBelow}${showCursor}`);
    },
  };
}
