/**
 * Texts made of labels, as a table writes them: `{UUID}`, `{dev_file after /}` for what stands behind
 * the last slash, `{neuroncore div cores}` for a whole quotient.
 *
 * @module
 */
import type { SeriesLabels } from "#engine/page/series.ts";

const field = /\{([A-Za-z_]\w*)(?: after (\S)| div ([A-Za-z_]\w*))?\}/g;
const shape = /^(?:[^{}]|\{[A-Za-z_]\w*(?: after \S| div [A-Za-z_]\w*)?\})*$/;

/** Whether each brace is part of a field. */
export function isTemplate(text: string): boolean {
  return text !== "" && shape.test(text);
}

/** @returns `undefined` where a label that the text is made of is missing or empty. */
export function filled(template: string, labels: SeriesLabels): string | undefined {
  let isWhole = true;
  const text = template.replace(field, (_field, name: string, mark?: string, divisor?: string) => {
    const value = labelValue(labels, name, mark, divisor);
    if (value === undefined || value === "") isWhole = false;
    return value ?? "";
  });
  return isWhole ? text : undefined;
}

function labelValue(
  labels: SeriesLabels,
  name: string,
  mark: string | undefined,
  divisor: string | undefined,
): string | undefined {
  const value = labels[name];
  if (value === undefined) return undefined;
  if (mark !== undefined) return value.slice(value.lastIndexOf(mark) + 1);
  if (divisor === undefined) return value;
  const quotient = Math.floor(Number(value) / Number(labels[divisor]));
  return /^\d+$/.test(value) && Number.isSafeInteger(quotient) ? String(quotient) : undefined;
}
