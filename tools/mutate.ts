/**
 * Asks whether the tests of a room would notice a mistake: changes its code at a sample of places,
 * one at a time, and runs the room's tests against each change.
 *
 * Changes are made in copies of the repository, never in it. A change that the tests let through is
 * shown to the type checker: when that refuses it, it could not have landed, and another is drawn.
 * Of the survivors some change nothing that can be observed; the rest lack a test, or are code that
 * nobody needs.
 *
 * StrykerJS was tried first. It draws no sample, expects a newer Node.js than this project does,
 * adapts tsconfig.json through an interface that TypeScript 7 does not have, and adds ninety
 * packages. A parser is here already, through knip.
 *
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { parseSync } from "oxc-parser";
import { type Mutant, mutantsOf, mutated } from "./mutants.ts";
import { type MutationCopy, mutationCopy } from "./mutation-copy.ts";

const usage = `Usage: bun tools/mutate.ts ROOM [options], in the root of the repository

ROOM is a folder of src/, or one inside a room; its tests are those of test/ROOM.

  --mutants N      how many to try, besides those that do not type-check (default 50)
  --seed S         which ones: the same number draws the same sample (default 1)
  --file GLOB      only in files of the room that match, as in --file 'adapters/*.ts'
  --at FILE:LINE   every mutant of one line instead of a sample
  --workers N      how many to try at once (default 2)
  --help           this text`;

/** Rooms whose tests lie elsewhere than in the folder of the same name alone. */
const testFolders: Readonly<Record<string, readonly string[]>> = {
  cli: ["test/cli", "test/binary"],
};
/** Its numbers are chosen, not derived: a test could only repeat them. */
const limits = "src/core/limits.ts";
/** A test that uses it would build the binary anew for each mutant. */
const binarySupport = "test/support/binary.ts";
/** Times of the unmutated tests, and milliseconds, that the tests of a mutant may take. */
const [timesMax, spareMs] = [3, 5_000];
const root = process.cwd();

interface Place {
  readonly path: string;
  readonly source: string;
  readonly mutant: Mutant;
}
type Outcome = "killed" | "timed out" | "type error" | "survived";

const copies: MutationCopy[] = [];
const removeCopies = () => {
  for (const copy of copies) copy.remove();
};
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    removeCopies();
    process.exit(1);
  });

try {
  const options = readOptions();
  console.log(options === undefined ? usage : summary(await outcomesOf(options)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  removeCopies();
}

interface Options {
  readonly room: string;
  readonly mutants: number;
  readonly seed: number;
  readonly file: string;
  readonly at: string | undefined;
  readonly workers: number;
}

function readOptions(): Options | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      mutants: { type: "string", default: "50" },
      seed: { type: "string", default: "1" },
      file: { type: "string", default: "**" },
      at: { type: "string" },
      workers: { type: "string", default: "2" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const [room, ...others] = positionals;
  if (room === undefined || others.length > 0)
    throw new Error(`Cannot mutate: name one room\n\n${usage}`);
  const count = (name: "mutants" | "seed" | "workers") => {
    const number = Number(values[name]);
    if (Number.isSafeInteger(number) && number > 0) return number;
    throw new Error(`Cannot mutate: --${name} must be a whole number above 0, got ${values[name]}`);
  };
  const counts = { mutants: count("mutants"), seed: count("seed"), workers: count("workers") };
  return { room, ...counts, file: values.file, at: values.at };
}

async function outcomesOf(options: Options): Promise<Outcome[]> {
  const { room, at, mutants, workers } = options;
  const tests = testsOf(room);
  const places = sampleOf(options);
  while (copies.length < workers) copies.push(mutationCopy(root));
  const slowestMs = await unmutatedMs(tests);
  console.log(`${room}: ${tests.length} test files, ${(slowestMs / 1000).toFixed(1)} s unmutated`);

  const outcomes: Outcome[] = [];
  let trying = 0;
  const isEnough = () => {
    const valid = outcomes.filter((outcome) => outcome !== "type error").length;
    return at === undefined && valid + trying >= mutants;
  };
  const work = async (copy: MutationCopy): Promise<void> => {
    while (!isEnough()) {
      const { value: place } = places.next();
      if (place === undefined) return;
      trying += 1;
      const outcome = await outcomeOf(place, copy, tests, timesMax * slowestMs + spareMs);
      trying -= 1;
      outcomes.push(outcome);
      if (outcome === "survived") console.log(shown(place));
    }
  };
  await Promise.all(copies.map(work));
  if (outcomes.length === 0) throw new Error(`Cannot mutate ${room}: there is nothing to change`);
  return outcomes;
}

/** The time of the slowest run; all run at once, as the mutants will. */
async function unmutatedMs(tests: readonly string[]): Promise<number> {
  const types = await copies[0]?.checkTypes();
  if (types?.ok !== true)
    throw new Error(`${types?.output}\nCannot mutate: the code does not type-check as it is`);
  const startNs = Bun.nanoseconds();
  const runs = await Promise.all(copies.map((copy) => copy.test(tests)));
  const failed = runs.find(({ ok }) => !ok);
  if (failed !== undefined)
    throw new Error(`${failed.output}\nCannot mutate: the tests fail on the code as it is`);
  return (Bun.nanoseconds() - startNs) / 1e6;
}

async function outcomeOf(
  { path, source, mutant }: Place,
  copy: MutationCopy,
  tests: readonly string[],
  timeoutMs: number,
): Promise<Outcome> {
  copy.write(path, mutated(path, source, mutant) ?? source);
  try {
    const { ok, timedOut } = await copy.test(tests, timeoutMs);
    if (timedOut) return "timed out";
    if (!ok) return "killed";
    return (await copy.checkTypes()).ok ? "survived" : "type error";
  } finally {
    copy.write(path, source);
  }
}

/** Mutants in the order in which to try them: at most one of a place, or all of one line. */
function* sampleOf({ room, seed, file, at }: Options): Generator<Place, undefined> {
  const folder = join("src", room);
  const glob = new Bun.Glob(file);
  const all = filesIn(folder)
    .filter((path) => path.endsWith(".ts") && path !== limits)
    .filter((path) => glob.match(path) || glob.match(path.slice(folder.length + 1)))
    .flatMap((path): Place[] => {
      const source = readFileSync(join(root, path), "utf8");
      return mutantsOf(path, source).map((mutant) => ({ path, source, mutant }));
    });

  const drawn = new Set<string>();
  for (const place of at === undefined ? shuffled(all, seed) : all) {
    const { path, source, mutant } = place;
    const key = `${path}:${mutant.start}-${mutant.end}`;
    if (at === undefined ? drawn.has(key) : at !== `${path}:${lineOf(place)}`) continue;
    if (mutated(path, source, mutant) === undefined) continue;
    drawn.add(key);
    yield place;
  }
}

/** The same seed gives the same order as long as the code is the same. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const ranked = items.map((item, at) => ({ item, rank: Bun.hash(`${seed}:${at}`) }));
  return ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ item }) => item);
}

function testsOf(room: string): string[] {
  if (!isFolder(join("src", room)))
    throw new Error(`Cannot mutate ${room}: there is no folder src/${room}`);
  // A folder inside a room may have tests of its own; else those of the room are its tests.
  let name = room;
  while (!isFolder(join("test", name)) && name.includes("/")) name = dirname(name);
  const folders = (testFolders[name] ?? [join("test", name)]).filter(isFolder);
  const all = folders.flatMap(filesIn).filter((path) => path.endsWith(".test.ts"));
  const needsBinary = (path: string) => importsOf(path).has(binarySupport);
  const tests = all.filter((path) => !needsBinary(path));
  for (const path of all)
    if (!tests.includes(path)) console.log(`left out, as it needs the binary: ${path}`);
  if (tests.length === 0)
    throw new Error(`Cannot mutate ${room}: no tests; test/${name} has none that could run here`);
  return tests;
}

/** Every file that one imports by a relative path, and those that they import. */
function importsOf(path: string, found = new Set<string>()): Set<string> {
  const { module } = parseSync(path, readFileSync(join(root, path), "utf8"));
  for (const { moduleRequest } of module.staticImports) {
    const imported = join(dirname(path), moduleRequest.value);
    if (!moduleRequest.value.startsWith(".") || found.has(imported)) continue;
    found.add(imported);
    importsOf(imported, found);
  }
  return found;
}

/** The lines that a mutant changes, before and after, each cut to what a terminal shows. */
function shown(place: Place): string {
  const { path, source, mutant } = place;
  const from = source.lastIndexOf("\n", mutant.start - 1) + 1;
  const newline = source.indexOf("\n", mutant.end);
  const to = newline < 0 ? source.length : newline;
  const after = source.slice(from, mutant.start) + mutant.text + source.slice(mutant.end, to);
  const short = (text: string) => text.replaceAll(/\s+/g, " ").trim().slice(0, 200);
  const lines = [`- ${short(source.slice(from, to))}`, `+ ${short(after)}`];
  return [`survived (${mutant.kind}) ${path}:${lineOf(place)}`, ...lines].join("\n  ");
}

function lineOf({ source, mutant }: Place): number {
  return source.slice(0, mutant.start).split("\n").length;
}

function summary(outcomes: readonly Outcome[]): string {
  const count = (outcome: Outcome) => outcomes.filter((one) => one === outcome).length;
  const valid = outcomes.length - count("type error");
  const killed = valid - count("survived");
  const percent = valid === 0 ? 100 : Math.floor((100 * killed) / valid);
  return [
    `${count("type error")} more did not type-check; ${count("timed out")} ran out of time`,
    `${killed} of ${valid} killed (${percent} %)`,
  ].join("\n");
}

function filesIn(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  const paths = names.map((name) => join(folder, name));
  return paths.filter((path) => !isFolder(path)).toSorted();
}

function isFolder(path: string): boolean {
  return statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() ?? false;
}
