import { canonicalName } from "#engine/page/name-filter.ts";
import type { Labels } from "#engine/page/series.ts";
import type { SignalTerms } from "#engine/signal/term.ts";
import type { EngineName } from "#metric/engines.ts";

/** One sample of a page that is JSON, under a name of our own. */
export interface JsonSample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/** Everything that is particular to one engine or gateway. */
export interface Adapter {
  readonly engine: EngineName;
  /** As people write it. */
  readonly title: string;
  /** Where its metrics are unless told otherwise. */
  readonly port: number;
  readonly path: string;
  /** Paths to try once when the first answers 404 or something that is no metrics page. */
  readonly otherPaths: readonly string[];
  /** What to switch on at the engine when its metrics are not there; ends a sentence. */
  readonly enable: string;
  /** Whether a page with these metric names, as spelled there, is this engine's. */
  readonly owns: (names: ReadonlySet<string>) => boolean;
  readonly signals: SignalTerms;
  /** Series that repeat others, such as those of a second rank, are left out. */
  readonly keep?: (labels: Labels) => boolean;
  /** Why a series shows that the page is another program's. */
  readonly foreign?: (labels: Labels) => string | undefined;
  /** Label by which a process repeats a gauge: of several, the highest number is the newest. */
  readonly copyLabel?: string;
  /** For pages in JSON. @returns `undefined` when it is not this engine's. */
  readonly fromJson?: (page: unknown) => readonly JsonSample[] | undefined;
}

/** Tells a page by names that start, in canonical form, with one of `prefixes`. */
export function ownsPrefixes(...prefixes: readonly string[]): Adapter["owns"] {
  return (names) => {
    for (const name of names) {
      const plain = canonicalName(name);
      if (prefixes.some((prefix) => plain.startsWith(prefix))) return true;
    }
    return false;
  };
}
