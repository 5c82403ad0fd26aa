/**
 * The time series of one target, each known by its text on the page and by its labels.
 *
 * A page repeats the same text at every scrape, so labels are parsed once in a target's life.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { labelBytes, labelGroupBytes, pageSeriesMax, seriesBytes } from "#core/limits.ts";
import { canonicalName } from "./name-filter.ts";
import { parseNumber } from "./number-text.ts";

export type SeriesLabels = Readonly<Record<string, string>>;

/** One time series of a target. `id` is its column in every scrape of that target. */
export interface Series {
  readonly id: number;
  /** In canonical form, which is not how the page spells it. */
  readonly name: string;
  /** As the page spells it: of two spellings on one page each is a metric of its own. */
  readonly spelling: string;
  readonly labels: SeriesLabels;
  /** The bucket's upper bound, read as a number because printers differ (`1`, `1.0`, `1e0`). */
  readonly le: number | undefined;
  /** All labels but `le`: what the buckets of one histogram have in common. */
  readonly group: string;
}

export interface SeriesTable {
  readonly size: () => number;
  /** What it keeps in memory, estimated. */
  readonly bytes: () => number;
  readonly all: () => Iterable<Series>;
  /** @param name In any spelling. */
  readonly byName: (name: string) => readonly Series[];
  /**
   * @param name In canonical form.
   * @param text The series as the page spells it, one character a byte.
   * @returns `undefined` when the text is no series.
   * @throws {Fault} `page-invalid` beyond `pageSeriesMax` series.
   */
  readonly intern: (name: string, text: string) => Series | undefined;
  /**
   * For pages that are not in the exposition format.
   *
   * @param spelling The name as the page spells it.
   */
  readonly internLabels: (spelling: string, labels: SeriesLabels) => Series;
}

/** What series have in common: all labels but `le`. */
interface LabelGroup {
  readonly id: number;
  readonly text: string;
  readonly labels: SeriesLabels;
}

interface LabelGroups {
  readonly of: (labels: SeriesLabels) => LabelGroup;
  readonly bytes: () => number;
}

function labelGroups(): LabelGroups {
  const groups = new Map<string, LabelGroup>();
  let bytes = 0;
  return {
    of: ({ le: _, ...rest }) => {
      const entries = Object.entries(rest).sort(([one], [other]) => (one < other ? -1 : 1));
      const text = JSON.stringify(entries);
      const earlier = groups.get(text);
      if (earlier !== undefined) return earlier;
      const group = { id: groups.size, text, labels: labelsOf(entries) };
      groups.set(text, group);
      // A character may take two bytes, in the labels and in the text that is made of them.
      bytes += labelGroupBytes + 4 * text.length + entries.length * labelBytes;
      return group;
    },
    bytes: () => bytes,
  };
}

interface SeriesTexts {
  readonly find: (text: string) => Series | undefined;
  /** Of each series the last text is kept: a page that spells it anew each time costs parsing alone. */
  readonly keep: (series: Series, text: string) => void;
  readonly bytes: () => number;
}

function seriesTexts(): SeriesTexts {
  const byText = new Map<string, Series>();
  const textOf: (string | undefined)[] = [];
  let bytes = 0;
  return {
    find: (text) => byText.get(text),
    keep: (series, text) => {
      const earlier = textOf[series.id];
      if (earlier !== undefined) byText.delete(earlier);
      bytes += text.length - (earlier?.length ?? 0);
      textOf[series.id] = text;
      byText.set(text, series);
    },
    bytes: () => bytes,
  };
}

export function seriesTable(): SeriesTable {
  const texts = seriesTexts();
  const byKey = new Map<string, Series>();
  const byName = new Map<string, Series[]>();
  const spellings = new Map<string, { readonly id: number; readonly spelling: string }>();
  const groups = labelGroups();
  let bytes = 0;

  const spellingOf = (spelling: string) => {
    const known = spellings.get(spelling) ?? { id: spellings.size, spelling };
    spellings.set(spelling, known);
    return known;
  };

  const internNamed = (name: string, spelledAs: string, labels: SeriesLabels): Series => {
    const { le: bound } = labels;
    const le = bound === undefined ? undefined : parseNumber(bound);
    const group = groups.of(labels);
    const { id: spellingId, spelling } = spellingOf(spelledAs);
    const key = `${spellingId} ${group.id} ${le ?? bound}`;
    const earlier = byKey.get(key);
    if (earlier !== undefined) return earlier;
    if (byKey.size >= pageSeriesMax)
      throw new Fault(
        "page-invalid",
        `Cannot read metrics: at most ${pageSeriesMax} series of the names that are read, got more; choose series by their labels at the engine`,
        { came: `more than ${pageSeriesMax} series` },
      );
    const series: Series = {
      id: byKey.size,
      name,
      spelling,
      labels: bound === undefined ? group.labels : labelsOf(Object.entries(group.labels), bound),
      le,
      group: group.text,
    };
    byKey.set(key, series);
    bytes += seriesBytes + 2 * (bound?.length ?? 0);
    const siblings = byName.get(name);
    if (siblings === undefined) byName.set(name, [series]);
    else siblings.push(series);
    return series;
  };

  return {
    size: () => byKey.size,
    bytes: () => bytes + groups.bytes() + texts.bytes(),
    all: () => byKey.values(),
    byName: (name) => byName.get(canonicalName(name)) ?? [],
    intern: (name, text) => {
      const earlier = texts.find(text);
      if (earlier !== undefined) return earlier;
      const open = text.indexOf("{");
      const labels = open < 0 ? {} : parseLabels(text, open);
      if (labels === undefined) return undefined;
      const spelling = (open < 0 ? text : text.slice(0, open)).trimEnd();
      const series = internNamed(name, spelling, labels);
      texts.keep(series, text);
      return series;
    },
    internLabels: (spelling, labels) => internNamed(canonicalName(spelling), spelling, labels),
  };
}

/** Without a prototype, so that a label may have any name. */
function labelsOf(entries: readonly (readonly [string, string])[], le?: string): SeriesLabels {
  const labels: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) labels[name] = value;
  if (le !== undefined) labels["le"] = le;
  return labels;
}

const label = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,|(?=\}))/y;
const escapes: SeriesLabels = { n: "\n", '"': '"', "\\": "\\" };

/**
 * @param text One character a byte, `{` at `open`, ending behind the `}` that closes it.
 * @returns `undefined` when that is no label set.
 */
function parseLabels(text: string, open: number): SeriesLabels | undefined {
  const labels: Record<string, string> = Object.create(null);
  label.lastIndex = open + 1;
  let end = open + 1;
  for (let found = label.exec(text); found !== null; found = label.exec(text)) {
    const [, name = "", value = ""] = found;
    labels[name] = unescaped(Buffer.from(value, "latin1").toString("utf8"));
    end = label.lastIndex;
  }
  return /^[ \t]*\}$/.test(text.slice(end)) ? labels : undefined;
}

/** `\\`, `\"` and `\n`; any other backslash stands for itself, as in Prometheus' own parser. */
function unescaped(value: string): string {
  return value.includes("\\")
    ? value.replace(/\\(.)/gs, (pair, escaped: string) => escapes[escaped] ?? pair)
    : value;
}
