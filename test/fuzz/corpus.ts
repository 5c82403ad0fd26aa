import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseYamlDocuments } from "#core/yaml-text.ts";

const root = join(import.meta.dir, "..", "..");

/** Files of a folder of the repository and of those in it, whose names end in one of `endings`. */
export function filesOf(folder: string, ...endings: readonly string[]): readonly Buffer[] {
  return readdirSync(join(root, folder), { recursive: true })
    .map(String)
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .toSorted()
    .map((file) => readFileSync(join(root, folder, file)));
}

/** Every object of the examples, as `kubectl` would send it. */
export function exampleObjects(): readonly unknown[] {
  return filesOf("deploy/examples", ".yaml")
    .flatMap((file) => parseYamlDocuments(file.toString()))
    .flatMap((document) => (document.problems === undefined ? [document.value] : []));
}

/** Metadata of every trigger of the examples. */
export function exampleMetadata(): readonly Readonly<Record<string, string>>[] {
  return exampleObjects().flatMap((object) => {
    const { spec } = object as { spec?: { triggers?: { type: string; metadata: never }[] } };
    return (spec?.triggers ?? [])
      .filter(({ type }) => type.startsWith("external"))
      .map(({ metadata }) => metadata);
  });
}

export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
