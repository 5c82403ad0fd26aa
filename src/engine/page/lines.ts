/**
 * Cuts a body that comes in chunks of any size into lines.
 *
 * @module
 */
import { pageLineBytesMax } from "#core/limits.ts";

interface LineSplitter {
  /** The chunk's bytes may be reused afterwards. */
  readonly push: (chunk: Buffer) => void;
  /** Ends the last line, which may lack its newline. */
  readonly end: () => void;
}

interface LineListener {
  /** A line is `bytes[start, end)`, without its newline; they are valid during the call only. */
  readonly onLine: (bytes: Buffer, start: number, end: number) => void;
  /** A line that is longer than `pageLineBytesMax` is left out. */
  readonly onTooLong: () => void;
}

const newline = 0x0a;
const empty = Buffer.alloc(0);

export function lineSplitter({ onLine, onTooLong }: LineListener): LineSplitter {
  /** The start of the line that the last chunk left open. */
  let open: Buffer = empty;
  let isSkipping = false;

  const skip = (): void => {
    if (!isSkipping) onTooLong();
    isSkipping = true;
    open = empty;
  };

  /** Ends the open line; returns where the next line starts. */
  const closeLine = (bytes: Buffer): number => {
    const end = bytes.indexOf(newline);
    const stop = end < 0 ? bytes.length : end;
    if (open.length + stop > pageLineBytesMax) skip();
    else if (!isSkipping && stop > 0) open = Buffer.concat([open, bytes.subarray(0, stop)]);
    if (end < 0) return stop;
    if (!isSkipping) onLine(open, 0, open.length);
    isSkipping = false;
    open = empty;
    return end + 1;
  };

  return {
    push: (chunk) => {
      let start = open.length > 0 || isSkipping ? closeLine(chunk) : 0;
      for (let end = chunk.indexOf(newline, start); end >= 0; end = chunk.indexOf(newline, start)) {
        onLine(chunk, start, end);
        start = end + 1;
      }
      if (chunk.length - start > pageLineBytesMax) skip();
      else if (start < chunk.length) open = Buffer.from(chunk.subarray(start));
    },
    end: () => {
      if (open.length > 0) onLine(open, 0, open.length);
    },
  };
}
