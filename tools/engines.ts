/**
 * Writes `docs/engines.md` from the adapters. With `--check` it changes nothing and fails when the
 * document is not what they give.
 */
import { join } from "node:path";
import {
  counterWindowMs,
  labelPatternCharsMax,
  labelPatternWorkMax,
  quantileSamplesLeast,
  widestWindowMs,
} from "#core/limits.ts";
import { type Adapter, offeredSignals } from "#engine/adapters/adapter.ts";
import { adapters } from "#engine/adapters/all.ts";
import { engineFacts } from "#metric/engines.ts";
import { code, table, written } from "./markdown.ts";

/** The day on which names were last compared with their definitions, those of some engines. */
const checkedOn = "2026-11-24";

function engineTable(): string {
  const rows = inOrder().map(({ engine, title, port, path, otherPaths, enable }) => {
    const places = [`${port}${path}`, ...otherPaths];
    const isInFront = engineFacts(engine).isFrontEnd ? "yes" : "";
    return [code(engine), title, places.join(", "), isInFront, enable];
  });
  const headings = ["engine", "what", "default port and path, then other paths"];
  return table([...headings, "in front of engines", "how its page is had"], rows);
}

function checkedTable(): string {
  const rows = inOrder().map(({ engine, checked: { versions, source, lacks } }) => [
    code(engine),
    versions,
    // Underscores would make words bold.
    source.replaceAll("__", "\\_\\_"),
    lacks,
  ]);
  return table(["engine", "versions", "source", "what is not there"], rows);
}

function signalTable(): string {
  const rows = inOrder().map((adapter) => {
    const signals = offeredSignals(adapter).map(code).join(", ");
    return [code(adapter.engine), signals, activityOf(adapter)];
  });
  return table(["engine", "signals", "in use while requests"], rows);
}

/** Of what waits, runs and arrives: what an engine tells. */
function activityOf({ signals }: Adapter): string {
  const { queue_depth, running_requests, concurrency, request_rate } = signals;
  const told = [
    ...(queue_depth ? ["wait"] : []),
    ...(running_requests ? ["run"] : []),
    ...(concurrency && !queue_depth && !running_requests ? ["are inside"] : []),
    ...(request_rate ? ["arrive or end"] : []),
  ];
  return told.length === 0 ? "does not tell" : told.join(", ");
}

function namedTable(): string {
  const rows = [
    ["a gauge", "its newest value, or its mean over `windowSeconds`", "`sum`, `mean`, `max`"],
    ["a counter", "what it gains in a second", "`sum`"],
    [
      "a histogram, named with or without `_bucket`",
      "the quantile of what it observed in the window, in its own unit",
      "`p50`, `p90`, `p95`, `p99`",
    ],
    [
      'a summary, with `engineLabels: quantile="0.9"`',
      "that quantile as the process computed it; of several series or replicas it is no quantile any more",
      "`mean`, `max`",
    ],
    ["a ratio", "one part for each of the other", "`sum`, `mean`, `max`, of each part"],
  ];
  return table(["what", "its value", "`engineReduce`, for several series of a page"], rows);
}

function inOrder(): readonly Adapter[] {
  return adapters.toSorted((one, other) => (one.engine < other.engine ? -1 : 1));
}

const samplesText = quantileSamplesLeast
  .map(({ q, samples }) => `below ${samples}${q > 0 ? ` for p${q * 100}` : " else"}`)
  .join(", ");

const text = `# Engines

Generated from the adapters by \`bun run gen\`; do not edit. Names are compared with their definitions from time to time, the last of them on ${checkedOn}. A page of another version may have more or less: what it lacks is told, and never read as 0.

## Where a page is

${engineTable()}

## What an engine tells

A workload is in use, and kept from zero replicas, while its engines show any of the third column. What arrives counts for a minute.

${signalTable()}

## Metrics that a trigger names

\`engineMetric\` is the name of a series as the page spells it, or two of them as a ratio, \`a / b\`. \`engineLabels\` chooses series with PromQL's matchers, in both parts of a ratio: \`=\`, \`!=\`, \`=~\` and \`!~\`, the value in double quotes, where a backslash is written twice, or in backquotes as it stands. A pattern is one of RE2's and of the whole value; a label that a series lacks is the empty text. Patterns have at most ${labelPatternCharsMax} characters together, and one query compares at most ${labelPatternWorkMax.toLocaleString("en")} characters times steps of its patterns on a page: choose by another label with \`=\` first where that is too little.

${namedTable()}

The kind is \`engineMetricKind\`, which is both parts' of a ratio; where that is left out, the page's \`# TYPE\`; where that does not say it, a counter for a name that ends in \`_total\`, \`_sum\`, \`_count\` or \`_bucket\`. What makes no sense is refused, with what to ask instead: a quantile of a gauge, a ratio of quantiles, all buckets of a histogram added up, the highest of several counters.

**A ratio** is made of both parts as they would be alone, each over all its series on the page: \`sum(rate(a)) / sum(rate(b))\` for counters, over \`windowSeconds\` or else ${counterWindowMs / 1_000} s, and over up to ${widestWindowMs / 60_000} minutes while \`b\` gains nothing. One that is above 0 for each of 0 is unknown.

**Replicas.** A quantile, a ratio and a summary's quantile do not add up. With \`metricType: Value\` beside \`metadata\`, and behind a Service, all replicas have one quantile of all their observations, or one ratio of their sums: \`sum(a) / sum(b)\`, so that a replica that does little weighs little. Buckets may differ, as they do during an update: observations of a replica that lacks a bound are spread evenly inside its own bucket, and those above its last one count as below the next that another has. Where replicas cannot be put together, each one's own value counts, and the explanation says why. Under \`AverageValue\` each replica's own value is added up, and the HPA divides by the replicas.

**Where nothing happens** a quantile has no observation and a ratio is 0 for each of 0, for which Prometheus has NaN; too few observations (${samplesText}) are as good as none. The HPA removes no replica whose value is unknown, so an idle engine would be kept for ever, and 0 of an engine that is stuck would remove it. So:

- an engine that says that nothing waits and nothing runs is idle, and the value is 0, also after too few observations for a quantile;

- while it says that something waits or runs, the value is unknown;

- of a page that says neither, or not with the labels that are chosen, the value is 0 once everything that is read of it has stood still for ${widestWindowMs / 60_000} minutes. A server that may hang without a word needs a second trigger on its queue.

## What the names were compared with

${checkedTable()}
`;

await written(join(import.meta.dir, "..", "docs", "engines.md"), text);
