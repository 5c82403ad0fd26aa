/**
 * A report for the terminal, at most 80 characters wide.
 *
 * @module
 */
import { headedLines } from "#core/text-lines.ts";
import { shortSeconds } from "./format.ts";
import type { Report, ReportedRun } from "./report.ts";
import { reportRows } from "./rows.ts";
import { highestIn, plotSeries } from "./series.ts";

/** In characters; `axis` is what stands left of a plot. */
const size = { width: 80, axis: 8, plotRows: 6 } as const;
const blocks = " ▁▂▃▄▅▆▇█";

/** @param hasColor Whether escape sequences for colours may be written. */
export function textReport(report: Report, hasColor: boolean): string {
  const { runs, load, replica, verdict } = report;
  const strong = (text: string) => (hasColor ? `\u001b[1m${text}\u001b[0m` : text);
  const lines = [
    ...headedLines("Load     ", load, size.width),
    ...headedLines("Replica  ", replica, size.width),
    ...runs.flatMap(({ letter, file, name }) =>
      headedLines(`${letter}        `, `${file} (${name})`, size.width),
    ),
    ...runs.flatMap(({ letter, warnings }) =>
      warnings.flatMap((warning) =>
        headedLines(`${letter}        `, `warning: ${warning}`, size.width),
      ),
    ),
    "",
    ...tableLines(report),
    "",
    ...verdict.flatMap((sentence, index) =>
      headedLines(index === 0 ? "Verdict  " : "         ", sentence, size.width).map((line) =>
        index === 0 ? strong(line) : line,
      ),
    ),
    ...plotSeries.flatMap(({ title, of }) => {
      const columns = runs.map((run) => ({
        run,
        values: highestIn(run.run.timeline, of, report.seconds, size.width - size.axis),
      }));
      // One scale for all, so that heights can be compared.
      const top = Math.max(1, ...columns.flatMap(({ values }) => values));
      return columns.flatMap(({ run, values }) =>
        plotLines(`${title}, ${run.letter}`, values, top, report.seconds, hasColor),
      );
    }),
  ];
  return `${lines.join("\n")}\n`;
}

function tableLines(report: Report): readonly string[] {
  const rows = [{ title: "", cells: report.runs.map(headingOf) }, ...reportRows(report)];
  const titles = Math.max(...rows.map(({ title }) => title.length));
  const cells = report.runs.map((_run, at) =>
    Math.max(...rows.map((row) => row.cells[at]?.length ?? 0)),
  );
  return rows.map((row) =>
    [row.title.padEnd(titles), ...row.cells.map((cell, at) => cell.padStart(cells[at] ?? 0))].join(
      "  ",
    ),
  );
}

const headingOf = ({ letter }: ReportedRun) => letter;

function plotLines(
  title: string,
  values: readonly number[],
  top: number,
  seconds: number,
  hasColor: boolean,
): readonly string[] {
  const paint = (text: string) => (hasColor ? `\u001b[36m${text}\u001b[0m` : text);
  const eighths = values.map((value) => Math.ceil((value / top) * size.plotRows * 8));
  const rows = Array.from({ length: size.plotRows }, (_none, at) => {
    const below = (size.plotRows - 1 - at) * 8;
    const drawn = eighths
      .map((height) => blocks[Math.min(8, Math.max(0, height - below))])
      .join("");
    const label = at === 0 ? shortNumber(top) : "";
    return `${label.padStart(size.axis - 2)} │${paint(drawn.trimEnd())}`.trimEnd();
  });
  const end = shortSeconds(seconds);
  const axis = `${"0".padStart(size.axis - 2)} └${"─".repeat(values.length)}`;
  return ["", title, ...rows, axis, `${" ".repeat(size.axis)}0${end.padStart(values.length - 1)}`];
}

function shortNumber(value: number): string {
  return value >= 1e5 ? `${(value / 1000).toFixed(0)}k` : `${Math.round(value)}`;
}
