import { canonicalName } from "#engine/page/name-filter.ts";
import type { SeriesLabels } from "#engine/page/series.ts";
import type { SignalFormulas } from "#engine/signal/formula.ts";
import type { EngineName } from "#metric/engines.ts";

/** One sample of a page that is JSON, under a name of our own. */
export interface JsonSample {
  readonly name: string;
  readonly labels: SeriesLabels;
  readonly value: number;
}

/** Ranks of one engine, each of which prints the engine's numbers. */
export interface Ranks {
  /** The label by which the parts differ that have work of their own. */
  readonly group: string;
  /** Labels of the ranks inside a part: the lowest that is there speaks for all of them. */
  readonly copies: readonly string[];
}

/** What the names of an adapter were compared with; `docs/engines.md` is made of it. */
export interface CheckedAgainst {
  readonly versions: string;
  /** Repository and files, of the definitions or of the engine's own description. */
  readonly source: string;
  /** What people look for and this engine does not tell. */
  readonly lacks: string;
}

/** Everything that is particular to one engine or gateway. */
export interface Adapter {
  readonly engine: EngineName;
  /** As people write it. */
  readonly title: string;
  /** Where its metrics are unless the trigger says otherwise. */
  readonly port: number;
  readonly path: string;
  /** Paths to try once when the first answers 404 or something that is no metrics page. */
  readonly otherPaths: readonly string[];
  /** What to switch on at the engine when its metrics are not there; ends a sentence. */
  readonly enable: string;
  /** Whether a page with these metric names, as spelled there, is this engine's. */
  readonly owns: (names: ReadonlySet<string>) => boolean;
  readonly signals: SignalFormulas;
  readonly checked: CheckedAgainst;
  /** Not for series that are a part of others under the same name. */
  readonly isCounted?: (labels: SeriesLabels) => boolean;
  /** Where several ranks print the same numbers. */
  readonly ranks?: Ranks;
  /** Why a series shows that the page is another program's. */
  readonly foreign?: (labels: SeriesLabels) => string | undefined;
  /** Label by which a process repeats a gauge: of several, the highest number is the newest. */
  readonly copyLabel?: string;
  /** For pages in JSON. @returns `undefined` when it is not this engine's. */
  readonly fromJson?: (page: unknown) => readonly JsonSample[] | undefined;
}

/** Whether a page has a name, in any spelling, that starts with one of `prefixes`. */
export function ownsPrefixes(...prefixes: readonly string[]): Adapter["owns"] {
  const starts = prefixes.map(canonicalName);
  return ownsNames((name) => starts.some((start) => name.startsWith(start)));
}

/** Whether a page has one of these names, in any spelling. */
export function ownsAny(...own: readonly string[]): Adapter["owns"] {
  const wholes = new Set(own.map(canonicalName));
  return ownsNames((name) => wholes.has(name));
}

function ownsNames(isOwn: (canonical: string) => boolean): Adapter["owns"] {
  return (names) => {
    for (const name of names) if (isOwn(canonicalName(name))) return true;
    return false;
  };
}

/** The signals that an engine exports, in alphabetical order. */
export function offeredSignals({ signals }: Pick<Adapter, "signals">): readonly string[] {
  return Object.keys(signals).sort();
}
