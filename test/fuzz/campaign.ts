/**
 * Runs a target on many inputs that a seed decides.
 *
 * Jazzer.js, which follows what code an input reaches, is not used: its release 4.0.0 brings a native
 * part that wants glibc 2.38, and Debian 12 has 2.36 (tried on Node.js 20.20 and Bun 1.4.5; earlier
 * releases on npm bring no binary). Here an input is kept, and mutated on, when what came of it is
 * new: rules and their messages are many, so that says much of the code that was reached.
 *
 * @module
 */
import { heapStats } from "bun:jsc";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { processorMs } from "../support/processor-time.ts";
import { drawsOf } from "./draws.ts";
import { promise, type Target } from "./target.ts";

/** Kept beside the corpus: enough for every rule, and few enough to be drawn often. */
const keptMax = 2_000;
/** Longer inputs are run, but nothing is made of them: it would be as long. */
const keptBytesMax = 4 * 1024;
/** An input that seems so slow is judged by the processor time it takes when it is run again. */
const slowMs = 500;
/** No reader may take so long for what it lets in: the thread answers KEDA meanwhile. */
const processorMsMax = 2_000;
/** What stays of a run beside its outcomes: nothing, but the runtime keeps code and pages. */
export const heapGrowthBytesMax = 32 * 1024 * 1024;

export interface Failure {
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Campaign {
  readonly inputs: number;
  readonly seconds: number;
  readonly outcomes: number;
  /** The longest time that one input took. */
  readonly slowestMs: number;
  /** By how much the heap has grown, after garbage was collected. */
  readonly heapGrowthBytes: number;
  /** Absent where nothing failed; it ends the run. */
  readonly failure?: Failure | undefined;
}

export interface CampaignOptions {
  readonly inputs: number;
  readonly seed: number;
}

export async function campaign(target: Target, options: CampaignOptions): Promise<Campaign> {
  const { inputs, seed } = options;
  const { inFlight = 1 } = target;
  const draws = drawsOf(seed, target.name);
  const own = target.corpus();
  const corpus = [...own];
  const outcomes = new Set<string>();
  const startBytes = heapBytes();
  const startMs = performance.now();
  let slowestMs = 0;
  let failure: Failure | undefined;

  const finished = (input: Buffer, outcome: string) => {
    if (outcomes.has(outcome) || outcomes.size >= keptMax) return;
    outcomes.add(outcome);
    if (input.length > keptBytesMax) return;
    // A copy: a part of a longer buffer would keep all of it.
    corpus.push(Buffer.from(input));
  };
  const failed = (input: Buffer, error: unknown) => {
    failure ??= { input, error };
  };
  const begin = (input: Buffer): Promise<void> | undefined => {
    const beforeMs = performance.now();
    try {
      const outcome = target.run(input);
      if (typeof outcome !== "string")
        return outcome.then(
          (known) => finished(input, known),
          (error) => failed(input, error),
        );
      finished(input, outcome);
      const tookMs = performance.now() - beforeMs;
      slowestMs = Math.max(slowestMs, tookMs);
      if (tookMs > slowMs) checkProcessorTime(target, input);
    } catch (error) {
      failed(input, error);
    }
    return undefined;
  };

  const open: Promise<void>[] = [];
  let done = 0;
  for (; done < inputs && failure === undefined; done += 1) {
    const input = own[done] ?? target.mutate(draws, draws.of(corpus), draws.of(corpus));
    const running = begin(input);
    if (running !== undefined) open.push(running);
    if (open.length === inFlight) await Promise.all(open.splice(0));
  }
  await Promise.all(open);
  const seconds = (performance.now() - startMs) / 1_000;
  corpus.length = own.length;
  const heapGrowthBytes = heapBytes() - startBytes;
  return { inputs: done, seconds, outcomes: outcomes.size, slowestMs, heapGrowthBytes, failure };
}

/** Reads an input once, and looks at what that takes. */
function checkProcessorTime(target: Target, input: Buffer): void {
  const tookMs = processorMs(() => void target.run(input));
  promise(tookMs <= processorMsMax, () => `${input.length} bytes are read in ${tookMs} ms`);
}

/** Reads an input that broke a promise once. */
export async function replay(target: Target, input: Buffer): Promise<void> {
  if (target.inFlight === undefined) checkProcessorTime(target, input);
  else await target.run(input);
}

function heapBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}

/** Inputs that broke a promise once, by the name of their file; each is run for ever. */
export function crashesOf({ name }: Target): ReadonlyMap<string, Buffer> {
  const folder = join(crashFolder, name);
  if (!existsSync(folder)) return new Map();
  return new Map(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))]));
}

/** @returns The path of the file. */
export function saveCrash({ name }: Target, input: Buffer): string {
  const folder = join(crashFolder, name);
  mkdirSync(folder, { recursive: true });
  const digest = createHash("sha256").update(input).digest("hex").slice(0, 16);
  const path = join(folder, digest);
  writeFileSync(path, input);
  return path;
}

const crashFolder = join(import.meta.dir, "crashes");
