/**
 * The tables of exporters: those that are built in, and files of the same shape.
 *
 * @module
 */
import * as v from "valibot";
import { assert } from "#core/assert.ts";
import { didYouMean } from "#core/closest.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { exporterTableBytesMax } from "#core/limits.ts";
import { readRegularFileSync } from "#core/regular-file.ts";
import { parseYaml } from "#core/yaml-text.ts";
import { type ExporterTable, tableSchema } from "./schema.ts";
import amdText from "./tables/amd.yaml" with { type: "text" };
import dcgmText from "./tables/dcgm.yaml" with { type: "text" };
import gaudiText from "./tables/gaudi.yaml" with { type: "text" };
import neuronText from "./tables/neuron.yaml" with { type: "text" };
import tpuText from "./tables/tpu.yaml" with { type: "text" };
import xpumText from "./tables/xpum.yaml" with { type: "text" };

export const exporterNames = ["gaudi", "neuron", "tpu", "xpum", "amd", "dcgm"] as const;
type ExporterName = (typeof exporterNames)[number];

const builtInTexts: Readonly<Record<ExporterName, string>> = {
  gaudi: gaudiText,
  neuron: neuronText,
  tpu: tpuText,
  xpum: xpumText,
  amd: amdText,
  dcgm: dcgmText,
};

export function builtInTable(name: ExporterName): ExporterTable {
  const { table, problems } = parseTable(builtInTexts[name]);
  assert(table !== undefined, `the built-in table ${name} is valid: ${problems?.join("; ")}`);
  return table;
}

type ParsedTable =
  | { readonly table: ExporterTable; readonly problems?: never }
  | { readonly problems: readonly string[]; readonly table?: never };

/** A table, or every problem of its text with line and column. */
export function parseTable(text: string): ParsedTable {
  const yaml = parseYaml(text);
  if (yaml.problems !== undefined) return { problems: yaml.problems };
  const parsed = v.safeParse(tableSchema, yaml.value);
  return parsed.success ? { table: parsed.output } : { problems: yaml.problemsOf(parsed.issues) };
}

/** Whether a text is the path of a file, and no name: names have neither dots nor slashes. */
export function isTablePath(nameOrPath: string): boolean {
  return /[./]/.test(nameOrPath);
}

/**
 * @param nameOrPath A built-in table, or the path of a file.
 * @throws {Fault} `file-invalid` with every problem of the file, or that there is no such table.
 */
export function exporterTable(nameOrPath: string): ExporterTable {
  const name = exporterNames.find((one) => one === nameOrPath);
  if (name !== undefined) return builtInTable(name);
  if (!isTablePath(nameOrPath))
    throw invalid(nameOrPath, [
      `must be one of ${exporterNames.join(", ")}, or the path of a file${didYouMean(nameOrPath, exporterNames)}`,
    ]);
  const { table, problems } = readTable(nameOrPath);
  if (table === undefined) throw invalid(nameOrPath, problems);
  return table;
}

function readTable(path: string): ParsedTable {
  try {
    return parseTable(readRegularFileSync(path, exporterTableBytesMax));
  } catch (error) {
    return { problems: [`the file: cannot be read: ${messageOf(error)}`] };
  }
}

function invalid(path: string, problems: readonly string[]): Fault {
  const message = `Cannot use exporter table ${path}: ${problems.join("; ")}; correct it, it is read again`;
  return new Fault("file-invalid", message, { path, problems });
}
