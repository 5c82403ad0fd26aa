/**
 * Files that the command line names.
 *
 * @module
 */
import { Fault, messageOf } from "#core/fault.ts";
import { inputProblemsMax } from "#core/limits.ts";
import { readRegularFile } from "#core/regular-file.ts";
import type { InputResult } from "#simulate/input/input-result.ts";

/** Reads and parses a file that the command line names. */
export async function readInput<Value>(
  what: string,
  path: string,
  bytesMax: number,
  parse: (text: string) => InputResult<Value>,
): Promise<Value> {
  const parsed = await contentOf(path, bytesMax).then((content) =>
    content.problems === undefined ? parse(content.value) : content,
  );
  if (parsed.problems === undefined) return parsed.value;
  const shown = parsed.problems.slice(0, inputProblemsMax);
  const more = parsed.problems.length - shown.length;
  const all = `${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
  const message = `Cannot use ${what} file ${path}: ${all}; correct it`;
  throw new Fault("file-invalid", message, { path, problems: parsed.problems });
}

/** @returns The text, or why there is none. */
export async function contentOf(path: string, bytesMax: number): Promise<InputResult<string>> {
  try {
    return { value: await readRegularFile(path, bytesMax) };
  } catch (error) {
    return { problems: [`the file: cannot be read: ${messageOf(error)}`] };
  }
}

/** The same of a stream; absent: it is empty. */
export async function streamText(
  stream: AsyncIterable<Uint8Array> | undefined,
  bytesMax: number,
): Promise<InputResult<string>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax)
      return { problems: [`the input: must have at most ${bytesMax} bytes, got more`] };
    chunks.push(chunk);
  }
  return { value: Buffer.concat(chunks).toString() };
}
