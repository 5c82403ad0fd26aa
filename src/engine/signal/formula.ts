/**
 * How a signal is made from the names on a page. Adapters are tables of formulas; `evaluate` reads
 * them.
 *
 * @module
 */
import type { SeriesLabels } from "#engine/page/series.ts";
import type { SignalName } from "#metric/catalogue.ts";

/**
 * The exporter makes the series at its first event, so its absence means that nothing has happened
 * yet. That takes a proof that this version exports the name at all, or a name that was changed
 * would read as 0 for ever: the page has its `# TYPE`, the same name with other labels, or one of
 * `shownBy`.
 */
interface Lazy {
  readonly shownBy?: readonly string[] | undefined;
  /** Names that come with the same event or after it: beside one of these, absence is not 0. */
  readonly unless?: readonly string[] | undefined;
}

interface FormulaBase {
  /** As the engine prints them; the first that the newest page has is used. */
  readonly names: readonly string[];
  /** Only series whose labels pass are added up. */
  readonly where?: ((labels: SeriesLabels) => boolean) | undefined;
  readonly lazy?: Lazy | undefined;
  /** Names of which the page has to have one, or what `names` say is not kept up to date. */
  readonly onlyBeside?: readonly string[] | undefined;
}
/** A value of now. */
export interface GaugeFormula extends FormulaBase {
  readonly kind: "gauge";
  /** Counts are summed over engines, ranks and models; fractions are averaged. */
  readonly reduce: "sum" | "mean" | "max";
  readonly scale: number;
  /** What the scrape itself adds to the value: an engine may count the request that reads it. */
  readonly ownShare?: number | undefined;
  /** Names of the count that `names` is a mean over: together they are the sum. */
  readonly meanOver?: readonly string[] | undefined;
}
/** What a counter gains in a second. */
export interface RateFormula extends FormulaBase {
  readonly kind: "rate";
}
/** A quantile of a histogram over the window. */
export interface QuantileFormula extends FormulaBase {
  readonly kind: "quantile";
  readonly q: number;
  readonly scale: number;
}
/** What one counter gained for each event that another counted. */
export interface AverageFormula extends FormulaBase {
  readonly kind: "average";
  /** The counter of events for each of `names`. */
  readonly countNames: readonly string[];
  readonly scale: number;
}
/** One value for each of another, both as they would be alone. */
export interface RatioFormula {
  readonly kind: "ratio";
  readonly numerator: GaugeFormula | RateFormula;
  readonly denominator: GaugeFormula | RateFormula;
  readonly scale: number;
}
/**
 * How many names a label lists, with commas between. The series of a page that are of other lists
 * stay there; the value of each is the time when it was true.
 */
export interface LabelListFormula extends FormulaBase {
  readonly kind: "label-list";
  readonly label: string;
  /** The label that says how many there may be; absent: the count itself is the value. */
  readonly limitLabel?: string | undefined;
}
/** An optional term that is absent adds nothing. */
export interface SumFormula {
  readonly kind: "sum";
  readonly terms: readonly (GaugeFormula | RateFormula)[];
  readonly optional: readonly (GaugeFormula | RateFormula)[];
}
export type SingleFormula =
  | GaugeFormula
  | RateFormula
  | QuantileFormula
  | AverageFormula
  | LabelListFormula;
export type Formula = SingleFormula | SumFormula | RatioFormula;

/** The formulas of each signal, in the order to try. */
export type SignalFormulas = { readonly [Signal in SignalName]?: readonly Formula[] };

type Names = string | readonly string[];
type Options = Pick<FormulaBase, "where" | "lazy" | "onlyBeside">;
type GaugeOptions = Options & Pick<GaugeFormula, "ownShare" | "meanOver">;
const listOf = (names: Names): readonly string[] => (typeof names === "string" ? [names] : names);

export function gauge(names: Names, options: GaugeOptions = {}): GaugeFormula {
  return { kind: "gauge", names: listOf(names), reduce: "sum", scale: 1, ...options };
}

/** A fraction from 0 to 1, which engines like to call "perc", as a percentage. */
export function fraction(names: Names, options: Options = {}): GaugeFormula {
  return { kind: "gauge", names: listOf(names), reduce: "mean", scale: 100, ...options };
}

/** @param names Without `_total`: the name with it is tried first, then the one without. */
export function rate(names: Names, options: Options = {}): RateFormula {
  const spellings = listOf(names).flatMap((name) => [`${name}_total`, name]);
  return { kind: "rate", names: spellings, ...options };
}

/** One gauge as a percentage of another. */
export function ratio(numerator: string, denominator: string, options: Options = {}): RatioFormula {
  const [part, whole] = [gauge(numerator, options), gauge(denominator)];
  return { kind: "ratio", numerator: part, denominator: whole, scale: 100 };
}

/**
 * What one counter gained as a share of what another did, in percent: over several targets the sum
 * of all parts by the sum of all wholes.
 *
 * @param parts Without `_total`; each belongs to the whole at the same place.
 */
export function counterShare(parts: Names, wholes: Names): AverageFormula {
  const { names } = rate(parts);
  return { kind: "average", names, countNames: rate(wholes).names, scale: 100 };
}

/** A quantile of a histogram, in milliseconds. */
export function quantile(names: Names, q: number, unitMs: number): QuantileFormula {
  return { kind: "quantile", names: listOf(names), q, scale: unitMs };
}

export function sum(
  terms: readonly (GaugeFormula | RateFormula)[],
  optional: readonly (GaugeFormula | RateFormula)[] = [],
): SumFormula {
  return { kind: "sum", terms, optional };
}

/** Waiting and running together, for engines that tell both apart. */
export function concurrencyOf(
  waiting: GaugeFormula | SumFormula,
  running: GaugeFormula,
): SumFormula {
  return waiting.kind === "sum"
    ? sum([...waiting.terms, running], waiting.optional)
    : sum([waiting, running]);
}

/** Histograms by what they measure, each with its older names behind it. */
interface LatencyNames {
  readonly ttft?: Names;
  readonly interToken?: Names;
  readonly e2e?: Names;
  readonly queue?: Names;
}

/**
 * All latency signals that these histograms give, in milliseconds.
 *
 * @param unitMs What the histograms count in: 1000 for seconds.
 */
export function latencies(
  { ttft, interToken, e2e, queue }: LatencyNames,
  unitMs = 1000,
  options: Options = {},
): SignalFormulas {
  const timed = (names: Names, q: number): QuantileFormula => ({
    ...quantile(names, q, unitMs),
    ...options,
  });
  // Spread, because a key says that the engine has the signal.
  return {
    ...(ttft && {
      ttft_p50_ms: [timed(ttft, 0.5)],
      ttft_p95_ms: [timed(ttft, 0.95)],
      ttft_p99_ms: [timed(ttft, 0.99)],
    }),
    ...(interToken && { inter_token_p95_ms: [timed(interToken, 0.95)] }),
    ...(e2e && { e2e_p95_ms: [timed(e2e, 0.95)] }),
    ...(queue && { queue_wait_ms: [histogramMean(queue, unitMs, options)] }),
  };
}

function histogramMean(names: Names, scale: number, options: Options): AverageFormula {
  return {
    kind: "average",
    names: listOf(names).map((name) => `${name}_sum`),
    countNames: listOf(names).map((name) => `${name}_count`),
    scale,
    ...options,
  };
}

/** All signals of several tables; of a signal in more than one the earlier formulas come first. */
export function combined(...tables: readonly SignalFormulas[]): SignalFormulas {
  const all: { [Signal in SignalName]?: readonly Formula[] } = {};
  for (const table of tables)
    for (const signal of Object.keys(table) as SignalName[])
      all[signal] = [...(all[signal] ?? []), ...(table[signal] ?? [])];
  return all;
}

/** Those of a table that an engine has of it. */
export function picked(signals: SignalFormulas, names: readonly SignalName[]): SignalFormulas {
  return Object.fromEntries(
    Object.entries(signals).filter(([name]) => names.some((one) => one === name)),
  );
}

/** The same formulas, for pages where a signal's absence can also mean another engine. */
export function withoutLazy(signals: SignalFormulas): SignalFormulas {
  return mapFormulas(signals, (formula) => {
    switch (formula.kind) {
      case "sum":
        return sum(formula.terms.map(neverLazy), formula.optional.map(neverLazy));
      case "ratio":
        return { ...formula, numerator: neverLazy(formula.numerator) };
      default:
        return neverLazy(formula);
    }
  });
}

function neverLazy<One extends SingleFormula>(formula: One): One {
  return { ...formula, lazy: undefined };
}

export function mapFormulas(
  signals: SignalFormulas,
  change: (formula: Formula) => Formula,
): SignalFormulas {
  return Object.fromEntries(
    Object.entries(signals).map(([signal, formulas]) => [signal, formulas.map(change)]),
  );
}

/** Every sample name that a formula reads. */
export function namesOf(formula: Formula): readonly string[] {
  switch (formula.kind) {
    case "gauge":
      return [...formula.names, ...(formula.meanOver ?? []), ...lazyNames(formula)];
    case "rate":
    case "label-list":
      return [...formula.names, ...lazyNames(formula)];
    case "average":
      return [
        ...formula.names,
        ...formula.countNames,
        ...declaredNames(formula),
        ...lazyNames(formula),
      ];
    case "quantile":
      return [
        ...formula.names.map((name) => `${name}_bucket`),
        ...declaredNames(formula),
        ...lazyNames(formula),
      ];
    case "sum":
    case "ratio":
      return termsOf(formula).flatMap(namesOf);
  }
}

/** What a formula is put together of. */
export function termsOf(
  formula: SumFormula | RatioFormula,
): readonly (GaugeFormula | RateFormula)[] {
  return formula.kind === "sum"
    ? [...formula.terms, ...formula.optional]
    : [formula.numerator, formula.denominator];
}

/** The names under which a page declares what a formula reads: a histogram's is without its parts'. */
export function declaredNames({ names }: SingleFormula): readonly string[] {
  return names.map((name) => name.replace(/_sum$/, ""));
}

/** The names that tell what an absence means. */
function lazyNames({ lazy, onlyBeside = [] }: FormulaBase): readonly string[] {
  return [...(lazy?.shownBy ?? []), ...(lazy?.unless ?? []), ...onlyBeside];
}
