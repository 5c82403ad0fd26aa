/**
 * A report as one page that needs nothing else: no script, no font, no other address.
 *
 * @module
 */
import { shortSeconds } from "./format.ts";
import type { Report } from "./report.ts";
import { reportRows } from "./rows.ts";
import { highestIn, type PlotSeries, plotSeries } from "./series.ts";

const plot = { width: 900, height: 220, left: 56, right: 16, top: 12, bottom: 28 } as const;

/** The first colours of Okabe and Ito's palette that are told apart on white and on black. */
const style = `
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --line: #c8c8c8;
  --a: #0072b2; --b: #d55e00; --c: #009e73; --d: #a3527f; --e: #8a6d00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #161616; --line: #555;
  --a: #56b4e9; --b: #f28e4b; --c: #3fc79a; --d: #e08fbd; --e: #e0c04c; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem; border-bottom: 1px solid var(--line); }
td, thead th { text-align: right; font-variant-numeric: tabular-nums; }
tbody th { text-align: left; font-weight: normal; padding-left: 0; }
.wide { overflow-x: auto; } figure { margin: 1.5rem 0; } svg { width: 100%; min-width: 44rem; height: auto; display: block; }
svg text { fill: var(--ink); font: 14px system-ui, sans-serif; } .grid { stroke: var(--line); }
.line { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.key { width: 2.2em; min-width: 0; height: .5em; display: inline-block; margin-right: .4em; vertical-align: middle; }
figcaption .key { margin-left: .8em; } .a { stroke: var(--a); } .b { stroke: var(--b); stroke-dasharray: 7 3; } .c { stroke: var(--c); stroke-dasharray: 2 3; }
.d { stroke: var(--d); stroke-dasharray: 9 3 2 3; } .e { stroke: var(--e); stroke-dasharray: 12 4; }
.verdict { font-size: 1.15em; font-weight: 600; } dt { font-weight: 600; } dd { margin: 0 0 .4rem; overflow-wrap: anywhere; }
`;

export function htmlReport(report: Report): string {
  const { load, replica, runs, verdict, seconds, seed } = report;
  const [first = "", ...rest] = verdict;
  const rows = reportRows(report).map(
    ({ title, cells }) =>
      `<tr><th scope="row">${escaped(title)}</th>${cells.map((cell) => `<td>${unbroken(cell)}</td>`).join("")}</tr>`,
  );
  const facts = [
    ["Load", load],
    ["Replica", replica],
    ["Length", `${shortSeconds(seconds)}, seed ${seed}`],
  ].map(([term = "", what = ""]) => `<dt>${term}</dt><dd>${escaped(what)}</dd>`);
  const objects = runs.map(
    ({ letter, file, name, warnings }) =>
      `<dt>${key(letter)}${letter}</dt><dd>${escaped(`${file} (${name})`)}${warnings
        .map((warning) => `<br>Warning: ${escaped(warning)}`)
        .join("")}</dd>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulation of ${escaped(runs.map(({ name }) => name).join(", "))}</title>
<style>${style}</style>
</head>
<body>
<h1>Simulation</h1>
<p class="verdict">${escaped(first)}</p>
${rest.map((sentence) => `<p>${escaped(sentence)}</p>`).join("\n")}
<dl>
${[...facts, ...objects].join("\n")}
</dl>
<div class="wide" tabindex="0"><table>
<thead><tr><th scope="col"></th>${runs.map(({ letter }) => `<th scope="col">${letter}</th>`).join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table></div>
${plotSeries.map((series) => figure(report, series)).join("\n")}
</body>
</html>
`;
}

/** A piece of a run's line, for its dashes tell it apart where its colour does not. */
const key = (letter: string) =>
  `<svg class="key" viewBox="0 0 35 8" aria-hidden="true"><path class="line ${letter.toLowerCase()}" d="M0 4H35"/></svg>`;

function figure({ runs, seconds }: Report, { title, of }: PlotSeries): string {
  const columns = plot.width - plot.left - plot.right;
  const all = runs.map(({ letter, run }) => ({
    letter,
    values: highestIn(run.timeline, of, seconds, columns),
  }));
  // Even, so that what is counted has a whole number half way up too.
  const top = 2 * Math.ceil(Math.max(1, ...all.flatMap(({ values }) => values)) / 2);
  const [bottom, right] = [plot.height - plot.bottom, plot.width - plot.right];
  const y = (value: number) => (bottom - (value / top) * (bottom - plot.top)).toFixed(1);
  const grid = [0, top / 2, top].map(
    (value) =>
      `<line class="grid" x1="${plot.left}" x2="${right}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text x="${plot.left - 8}" y="${Number(y(value)) + 4}" text-anchor="end">${value}</text>`,
  );
  const times = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    return `<text x="${plot.left + share * columns}" y="${plot.height - 8}" text-anchor="${anchor}">${shortSeconds(share * seconds)}</text>`;
  });
  const lines = all.map(
    ({ letter, values }) =>
      `<path class="line ${letter.toLowerCase()}" d="${pathOf(values, y)}"><title>${letter}</title></path>`,
  );
  const most = all.map(({ letter, values }) => `${letter} ${Math.max(0, ...values)}`).join(", ");
  const label = `${title} over ${shortSeconds(seconds)}; the most: ${most}`;
  return `<figure>
<figcaption><strong>${title}</strong> ${all.map(({ letter }) => `${key(letter)}${letter}`).join(" ")}</figcaption>
<div class="wide" tabindex="0"><svg viewBox="0 0 ${plot.width} ${plot.height}" role="img" aria-label="${escaped(label)}">
${[...grid, ...times, ...lines].join("\n")}
</svg></div>
</figure>`;
}

/** Steps, of which only the corners are written. */
function pathOf(values: readonly number[], y: (value: number) => string): string {
  let path = `M${plot.left} ${y(values[0] ?? 0)}`;
  for (const [column, value] of values.entries())
    if (column > 0 && value !== values[column - 1]) path += `H${plot.left + column}V${y(value)}`;
  return `${path}H${plot.left + values.length}`;
}

/** Breaks between a cell's facts, and not between a number and its unit. */
function unbroken(cell: string): string {
  return escaped(cell).replaceAll(/(?<!,) /g, "&nbsp;");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
